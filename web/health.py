"""Whether this worker is alive, and whether it is ready."""

from __future__ import annotations

from typing import Final, cast

from faust import web
from faust.tables.manager import TableManager

from fraudapp.worker import FraudWorker
from tables.heartbeats import SinkStatus
from web.problems import Problem
from web.schemas import Health, Ready
from web.views import View, route

MEANINGS: Final = {
    "model": "no model is loaded yet",
    "assigned": "partitions are being assigned",
    "recovered": "tables are being recovered from their changelogs",
    "running": "the worker is stopping",
}


@route("/healthz", name="healthz")
class Healthz(View):
    """Alive: the event loop answers. Whether the sinks keep up is told beside it."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer 200, with how many decisions each sink does not have yet, and if it is down."""
        sinks = {name: SinkStatus(*each) for name, each in self.context.status.sinks().items()}
        return self.answer(Health("alive", sinks))


@route("/readyz", name="readyz")
class Readyz(View):
    """Ready: a model is loaded, partitions are assigned, tables recovered and indexes read.

    And Kafka is there to be read; sinks may be down, which stops no decision.
    """

    async def get(self, request: web.Request) -> web.Response:
        """Answer 200, or 503 naming what is missing."""
        app, worker, tables = self.context.app, self.context.worker, self.context.tables
        recovery = cast(TableManager, app.tables).recovery
        unread = worker.unread()
        troubles = [*worker.troubles(), *tables.counts.troubles()]
        partitions = worker.parts().topics.problem or "" if worker.has_started else ""
        checks = {
            "model": worker.has_started,
            "assigned": app._assignment is not None and not app.rebalancing,
            "recovered": recovery.completed.is_set() and not app.in_recovery,
            "ledgers": not unread,
            "kafka": not troubles,
            "partitions": not partitions,
            "running": not worker.waiters.closed.is_set(),
        }
        full_disks = filter(None, [tables.counts.trouble, tables.heartbeats.trouble])
        meanings = MEANINGS | {
            "recovered": ": ".join([MEANINGS["recovered"], *full_disks]),
            "ledgers": _unread(worker, unread),
            "kafka": "; ".join(troubles),
            "partitions": partitions,
        }
        missing = [meanings[name] for name, passed in checks.items() if not passed]
        if missing:
            raise Problem(503, f"not ready: {'; '.join(missing)}", checks=checks)
        return self.answer(Ready("ready", checks))


def _unread(worker: FraudWorker, partitions: list[int]) -> str:
    """Which indexes are being read in, and why that takes its time where it is known."""
    named = ", ".join(_named(worker, partition) for partition in partitions)
    told = f"the log of decisions is being read in: partitions {named}"
    if not worker.has_started:
        return told
    reasons = [worker.parts().decisions.trouble(partition) for partition in partitions]
    return ": ".join([told, *(each for each in reasons if each)])


def _named(worker: FraudWorker, partition: int) -> str:
    """A partition, and how long it will take to read it in."""
    unread = worker.parts().decisions.unread(partition) if worker.has_started else None
    if unread is None:
        return str(partition)
    takes = "" if unread.seconds is None else f", about {unread.seconds:,.0f} s"
    return f"{partition} ({unread.records:,} records left{takes})"
