"""The state of the whole cluster; every worker has it, in its copy of the global tables."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from msgspec import json

from fraudapp.decisions.recent import Unknowable
from fraudapp.status import lag
from fraudapp.worker import FraudWorker
from models.activity import recent
from models.counts import Counts, total
from tables import Tables
from tables.heartbeats import Heartbeat
from web.control import state
from web.schemas import Details, PartitionState, Stats, WorkerState

CACHE_SECONDS: Final = 0.4
"""Seconds for which the encoded details are reused, so that many readers cost no more than one."""


class Overview:
    """Adds up the tables, as far as this worker has read their changelogs.

    Methods raise `Unknowable` while the worker is stopping or has not recovered its tables.
    """

    def __init__(self, worker: FraudWorker, tables: Tables) -> None:
        self._worker = worker
        self._tables = tables
        self._encoded: tuple[float, bytes] = (0.0, b"")

    def stats(self) -> Stats:
        """Return the exact counts of the cluster; raises `Unknowable`."""
        self._check_known()
        return self._stats(dict(self._tables.counts.items()))

    def details(self) -> Details:
        """Return counts, recent activity, partitions and workers; raises `Unknowable`."""
        self._check_known()
        counts = dict(self._tables.counts.items())
        heartbeats = dict(self._tables.heartbeats.items())
        now = time.time()
        return Details(
            at=now,
            stats=self._stats(counts),
            recent=recent((heartbeat.activity for heartbeat in heartbeats.values()), now),
            partitions=[
                _partition(partition, heartbeat, counts.get(partition))
                for partition, heartbeat in sorted(heartbeats.items())
            ],
            workers=_workers(heartbeats),
            policy=state.brief(self._worker.parts().control),
        )

    def encoded_details(self) -> bytes:
        """Return the details as JSON, up to `CACHE_SECONDS` seconds old; raises `Unknowable`."""
        made_at, document = self._encoded
        if time.monotonic() - made_at > CACHE_SECONDS:
            document = json.encode(self.details())
            self._encoded = time.monotonic(), document
        return document

    def _check_known(self) -> None:
        if self._worker.app.should_stop:
            raise Unknowable("this worker is stopping")
        if not (self._tables.counts.recovered and self._tables.heartbeats.recovered):
            raise Unknowable("this worker has just started, and does not have all counts yet")

    def _stats(self, counts: Mapping[int, Counts]) -> Stats:
        sums = total(counts)
        started = self._worker.parts()
        return Stats(
            decisions={"total": sum(sums.decisions.values()), **sums.decisions},
            duplicates=sums.duplicates,
            dead_letters={"total": sum(sums.dead_letters.values()), **sums.dead_letters},
            partitions=sums.offsets,
            model_version=started.serving.version,
            policy_version=started.control.in_force.version,
        )


def _partition(partition: int, heartbeat: Heartbeat, counts: Counts | None) -> PartitionState:
    end = heartbeat.high_water
    return PartitionState(
        number=partition,
        worker=heartbeat.worker,
        offset=counts.offset if counts else -1,
        lag=None if end is None else lag(end, counts),
        unread=heartbeat.unread,
        unread_seconds=heartbeat.unread_seconds,
    )


def _workers(heartbeats: Mapping[int, Heartbeat]) -> list[WorkerState]:
    """Return each worker by its latest heartbeat, with the partitions that it owns."""
    latest: dict[str, Heartbeat] = {}
    partitions: dict[str, list[int]] = {}
    for partition, heartbeat in sorted(heartbeats.items()):
        partitions.setdefault(heartbeat.worker, []).append(partition)
        if heartbeat.worker not in latest or latest[heartbeat.worker].at < heartbeat.at:
            latest[heartbeat.worker] = heartbeat
    return [
        WorkerState(
            name=name,
            at=heartbeat.at,
            partitions=partitions[name],
            latency=heartbeat.latency,
            stores=heartbeat.stores,
            model_version=heartbeat.model_version,
            policy_version=heartbeat.policy_version,
        )
        for name, heartbeat in sorted(latest.items())
    ]
