"""The state of the whole cluster, from what every worker has of it in its tables."""

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
from web.schemas import Details, PartitionState, Stats, WorkerState

FRESH: Final = 0.4
"""Seconds for which what was found is told again, so that many who watch cost no more than one."""


class Overview:
    """Tells it, as far as this worker has heard."""

    def __init__(self, worker: FraudWorker, tables: Tables) -> None:
        self._worker = worker
        self._tables = tables
        self._encoded: tuple[float, bytes] = (0.0, b"")

    def stats(self) -> Stats:
        """Exact counts of the cluster; raises `Unknowable`."""
        self._check_known()
        return self._stats(dict(self._tables.counts.items()))

    def details(self) -> Details:
        """All there is to know; raises `Unknowable`."""
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
        )

    def encoded_details(self) -> bytes:
        """The same as JSON, up to `FRESH` seconds old; raises `Unknowable`."""
        made_at, document = self._encoded
        if time.monotonic() - made_at > FRESH:
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
            model_version=started.scorer.version,
            policy_version=started.policy.version,
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


def _workers(reports: Mapping[int, Heartbeat]) -> list[WorkerState]:
    latest: dict[str, Heartbeat] = {}
    partitions: dict[str, list[int]] = {}
    for number, report in sorted(reports.items()):
        partitions.setdefault(report.worker, []).append(number)
        if report.worker not in latest or latest[report.worker].at < report.at:
            latest[report.worker] = report
    return [
        WorkerState(
            name=name,
            at=report.at,
            partitions=partitions[name],
            latency=report.latency,
            stores=report.stores,
            model_version=report.model_version,
            policy_version=report.policy_version,
        )
        for name, report in sorted(latest.items())
    ]
