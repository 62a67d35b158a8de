"""Health checks: liveness and readiness of this worker."""

from __future__ import annotations

from typing import Final, cast

from faust import web
from faust.tables.manager import TableManager
from msgspec import UNSET

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
    """Liveness: the event loop answers. A sink that lags or is down does not fail it."""

    async def get(self, request: web.Request) -> web.Response:
        """Answer 200 with the lag of each sink in decisions, and whether the sink is down."""
        sinks = {name: SinkStatus(*each) for name, each in self.context.status.sinks().items()}
        return self.answer(Health("alive", sinks))


@route("/readyz", name="readyz")
class Readyz(View):
    """Readiness: a model is loaded, partitions are assigned, tables recovered and indexes read.

    If the schema declares values of profiles, these have caught up with the log once. Kafka must be
    reachable as well. Sinks may be down, since decisions do not wait for them.
    """

    async def get(self, request: web.Request) -> web.Response:
        """Answer 200, or 503 with the checks that fail and why.

        A policy that does not fit fails none: another one decides, which the notes tell.
        """
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
            **_profiles_are_read(worker),
            "kafka": not troubles,
            "partitions": not partitions,
            "running": not worker.waiters.closed.is_set(),
        }
        full_disks = filter(None, [tables.counts.trouble, tables.heartbeats.trouble])
        meanings = MEANINGS | {
            "recovered": ": ".join([MEANINGS["recovered"], *full_disks]),
            "ledgers": _indexes_being_read(worker, unread),
            "profiles": _profiles_being_read(worker),
            "kafka": "; ".join(troubles),
            "partitions": partitions,
        }
        missing = [meanings[name] for name, passed in checks.items() if not passed]
        if missing:
            raise Problem(503, f"not ready: {'; '.join(missing)}", checks=checks)
        return self.answer(Ready("ready", checks, worker.notes() or UNSET))


def _profiles_are_read(worker: FraudWorker) -> dict[str, bool]:
    """Return the check of profiles; none if the schema declares no values of any."""
    if worker.settings.transaction_schema.remembering is None:
        return {}
    profiles = worker.parts().profiles if worker.has_started else None
    return {"profiles": profiles is not None and profiles.is_ready}


def _profiles_being_read(worker: FraudWorker) -> str:
    """Tell how much is left to read until profiles are known."""
    profiles = worker.parts().profiles if worker.has_started else None
    left = f": {profiles.unread()}" if profiles else ""
    return f"profiles are being read from the log{left}"


def _indexes_being_read(worker: FraudWorker, partitions: list[int]) -> str:
    """Name the partitions whose index is being read, with the errors that delay it."""
    named = ", ".join(_named(worker, partition) for partition in partitions)
    told = f"decision indexes are being read from the log: partitions {named}"
    if not worker.has_started:
        return told
    reasons = [worker.parts().decisions.trouble(partition) for partition in partitions]
    return ": ".join([told, *(each for each in reasons if each)])


def _named(worker: FraudWorker, partition: int) -> str:
    """Name a partition, with the records left to read and the estimated time."""
    unread = worker.parts().decisions.unread(partition) if worker.has_started else None
    if unread is None:
        return str(partition)
    takes = "" if unread.seconds is None else f", about {unread.seconds:,.0f} s"
    return f"{partition} ({unread.records:,} records left{takes})"
