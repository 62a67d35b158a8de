"""Whether this worker is alive, and whether it is ready."""

from __future__ import annotations

from typing import Final, cast

from faust import web
from faust.tables.manager import TableManager

from fraudapp import status
from fraudapp.app import app, runtime
from tables.decision_counts import decision_counts
from tables.heartbeats import SinkStatus, partition_reports
from web.problems import Problem
from web.schemas import Health, Ready
from web.views import View

MEANINGS: Final = {
    "model": "no model is loaded yet",
    "assigned": "partitions are being assigned",
    "recovered": "tables are being recovered from their changelogs",
    "running": "the worker is stopping",
}


@app.page("/healthz", name="healthz")
class Healthz(View):
    """Alive: the event loop answers. Whether the sinks keep up is told beside it."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer 200, with how many decisions each sink does not have yet, and if it is down."""
        sinks = {name: SinkStatus(*each) for name, each in status.stores().items()}
        return self.answer(Health("alive", sinks))


@app.page("/readyz", name="readyz")
class Readyz(View):
    """Ready: a model is loaded, partitions are assigned, tables recovered and indexes read.

    And Kafka is there to be read; sinks may be down, which stops no decision.
    """

    async def get(self, request: web.Request) -> web.Response:
        """Answer 200, or 503 naming what is missing."""
        recovery = cast(TableManager, app.tables).recovery
        unread = runtime.unread()
        troubles = [*runtime.troubles(), *decision_counts.troubles()]
        checks = {
            "model": hasattr(runtime, "scorer"),
            "assigned": app._assignment is not None and not app.rebalancing,
            "recovered": recovery.completed.is_set() and not app.in_recovery,
            "ledgers": not unread,
            "kafka": not troubles,
            "partitions": not self._problem(),
            "running": not runtime.waiting.closed.is_set(),
        }
        tables = filter(None, [decision_counts.trouble, partition_reports.trouble])
        meanings = MEANINGS | {
            "recovered": ": ".join([MEANINGS["recovered"], *tables]),
            "ledgers": _unread(unread),
            "kafka": "; ".join(troubles),
            "partitions": self._problem(),
        }
        missing = [meanings[name] for name, passed in checks.items() if not passed]
        if missing:
            raise Problem(503, f"not ready: {'; '.join(missing)}", checks=checks)
        return self.answer(Ready("ready", checks))

    @staticmethod
    def _problem() -> str:
        """What is the matter with the topic of transactions; empty if nothing is."""
        return runtime.watch.problem or "" if hasattr(runtime, "watch") else ""


def _unread(numbers: list[int]) -> str:
    """Which indexes are being read in, and why that takes its time where it is known."""
    named = ", ".join(map(_named, numbers))
    told = [f"the log of decisions is being read in: partitions {named}"]
    reasons = [runtime.decisions.trouble(number) for number in numbers]
    return ": ".join([*told, *(each for each in reasons if each)])


def _named(number: int) -> str:
    """A partition, and how long it will take to read it in."""
    unread = runtime.decisions.unread(number)
    if unread is None:
        return str(number)
    takes = "" if unread.seconds is None else f", about {unread.seconds:,.0f} s"
    return f"{number} ({unread.records:,} records left{takes})"
