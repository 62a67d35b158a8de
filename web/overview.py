"""The state of the whole cluster, from what every worker has of it in its tables."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Final

from msgspec import json

from fraudapp import status
from fraudapp.app import app, runtime
from fraudapp.decisions.recent import Unknowable
from models.activity import recent
from models.counts import Counts, total
from tables.decision_counts import decision_counts
from tables.heartbeats import Report, partition_reports
from web.schemas import Details, PartitionState, Stats, WorkerState

FRESH: Final = 0.4
"""Seconds for which what was found is told again, so that many who watch cost no more than one."""

_encoded: tuple[float, bytes] = (0.0, b"")


def stats() -> Stats:
    """Exact counts of the cluster, as far as this worker has heard; raises `Unknowable`."""
    _check_known()
    return _stats(dict(decision_counts.items()))


def details() -> Details:
    """All there is to know; raises `Unknowable`."""
    _check_known()
    counts = dict(decision_counts.items())
    reports = dict(partition_reports.items())
    now = time.time()
    return Details(
        at=now,
        stats=_stats(counts),
        recent=recent((report.activity for report in reports.values()), now),
        partitions=[
            _partition(number, report, counts.get(number))
            for number, report in sorted(reports.items())
        ],
        workers=_workers(reports),
    )


def encoded_details() -> bytes:
    """The same as JSON, up to `FRESH` seconds old; raises `Unknowable`."""
    global _encoded
    made_at, document = _encoded
    if time.monotonic() - made_at > FRESH:
        document = json.encode(details())
        _encoded = time.monotonic(), document
    return document


def _check_known() -> None:
    if app.should_stop:
        raise Unknowable("this worker is stopping")
    if not (decision_counts.recovered and partition_reports.recovered):
        raise Unknowable("this worker has just started, and does not have all counts yet")


def _stats(counts: Mapping[int, Counts]) -> Stats:
    sums = total(counts)
    return Stats(
        decisions={"total": sum(sums.decisions.values()), **sums.decisions},
        duplicates=sums.duplicates,
        dead_letters={"total": sum(sums.dead_letters.values()), **sums.dead_letters},
        partitions=sums.offsets,
        model_version=runtime.scorer.version,
        policy_version=runtime.policy.version,
    )


def _partition(number: int, report: Report, counts: Counts | None) -> PartitionState:
    end = report.high_water
    return PartitionState(
        number=number,
        worker=report.worker,
        offset=counts.offset if counts else -1,
        lag=None if end is None else status.lag(end, counts),
        unread=report.unread,
        unread_seconds=report.unread_seconds,
    )


def _workers(reports: Mapping[int, Report]) -> list[WorkerState]:
    latest: dict[str, Report] = {}
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
