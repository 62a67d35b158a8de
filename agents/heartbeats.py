"""Writes heartbeats: the state of this worker's partitions, about once a second."""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import partial
from typing import Any, Final

from msgspec import UNSET
from msgspec.structs import replace

from fraudapp.control.caps_watch import CapsWatch
from fraudapp.control.follower import ControlLog
from fraudapp.metrics import latency
from fraudapp.status import WorkerStatus
from fraudapp.worker import FraudWorker
from tables.global_table import ByPartition
from tables.heartbeats import Heartbeat, SinkStatus
from tables.since import NewHeartbeats

HEARTBEAT_INTERVAL: Final = 1.0
"""Seconds between two heartbeats, at least."""
REPEAT_AFTER: Final = 5.0
"""Seconds after which a heartbeat is written again though nothing has changed.

A worker that was paused may have written over it when the partition was no longer its own.
"""

_COMPARED_FIELDS: Final = (
    "worker",
    "cursor",
    "high_water",
    "stores",
    "stored",
    "unread",
    "policy_version",
    "for_caps",
)


class Heartbeats:
    """Writes the heartbeat of a partition when it has changed, and every `REPEAT_AFTER` seconds."""

    def __init__(
        self,
        worker: FraudWorker,
        status: WorkerStatus,
        table: ByPartition[Heartbeat],
        caps: CapsWatch,
    ) -> None:
        self._worker = worker
        self._status = status
        self._table = table
        self._caps = caps
        self._written: dict[int, Heartbeat] = {}
        self._new_heartbeats = NewHeartbeats()

    async def follow_control(self) -> None:
        """Write heartbeats at once when something else is in force: somebody may wait for it."""
        control = self._worker.parts().control
        while True:
            told = control.in_force.version
            await control.changed.wait_for(partial(_is_other, control, told))
            await self.beat()

    def tell_counts(self) -> None:
        """Tell what this worker counts for caps: the last heartbeat of one partition, repeated."""
        for partition in self._status.owned():
            last = self._written.get(partition)
            found = self._table.get(partition)
            # What others have written meanwhile may have news, and is left to the next beat.
            if last and found and (found.worker, found.at) == (last.worker, last.at):
                self._write(partition, replace(last, **self._of_policy(), at=time.time()))
                return

    async def beat(self) -> None:
        """Write the heartbeat of each partition of this worker.

        While an index is being read in, repeat the last heartbeat with the records left and the
        time that they will take.
        """
        started = self._worker.parts()
        news = self._new_heartbeats.news(dict(self._table.items()))
        told = {partition: each.stored for partition, each in news.items()}
        owned = self._status.owned()
        high_waters = self._status.high_waters(owned)
        of_worker = self._of_worker()
        for partition in owned:
            index = started.decisions.index(partition)
            if index is not None:
                self._write(
                    partition,
                    Heartbeat(
                        **of_worker,
                        cursor=index.next_offset,
                        high_water=high_waters.get(partition),
                        activity=index.activity,
                        stored=self._stored(partition, told),
                    ),
                )
        for partition in self._status.unread():
            unread = started.decisions.unread(partition)
            before = self._table.get(partition)
            if unread is not None and before is not None:
                left = {"unread": unread.records, "unread_seconds": unread.seconds}
                stored = self._stored(partition, told)
                self._write(partition, replace(before, **of_worker, **left, stored=stored))
        started.listener.forget_stored(told)

    def _stored(self, partition: int, told: Mapping[int, int]) -> int:
        """Return the log offset up to which Postgres has a partition.

        Until this worker's sink writer knows it, that is the offset in the last heartbeat.
        """
        known = self._worker.stored(partition)
        return told.get(partition, 0) if known is None else known

    def _of_worker(self) -> dict[str, Any]:
        """Return the fields that all heartbeats of a worker share."""
        started = self._worker.parts()
        return {
            "worker": self._status.name,
            "at": time.time(),
            "latency": latency.percentiles(time.monotonic()),
            "stores": {name: SinkStatus(*each) for name, each in self._status.sinks().items()},
            "model_version": started.serving.version,
            **self._of_policy(),
        }

    def _of_policy(self) -> dict[str, Any]:
        own = self._caps.own()
        return {
            "policy_version": self._worker.parts().control.in_force.version,
            "for_caps": UNSET if own is None else own,
        }

    def _write(self, partition: int, heartbeat: Heartbeat) -> None:
        if self._is_worth_writing(partition, heartbeat):
            self._written[partition] = heartbeat
            self._table.write(partition, heartbeat)

    def _is_worth_writing(self, partition: int, new: Heartbeat) -> bool:
        old = self._written.get(partition)
        if old is None or new.at - old.at >= REPEAT_AFTER:
            return True
        return any(getattr(old, name) != getattr(new, name) for name in _COMPARED_FIELDS)


def _is_other(control: ControlLog, version: str) -> bool:
    return control.in_force.version != version
