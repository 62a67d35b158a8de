"""Tells the other workers, about once a second, what this one knows of its partitions."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Final

from msgspec.structs import replace

from fraudapp import status
from fraudapp.app import app, runtime
from fraudapp.metrics import latency
from tables.heartbeats import Report, SinkStatus, partition_reports
from tables.since import Since

REPORT_INTERVAL: Final = 1.0
"""Seconds between two reports, at least."""
REPEAT_AFTER: Final = 5.0
"""Seconds after which a report is written again though nothing has changed.

A worker that was paused may have written over it when the partition was no longer its own.
"""

_NEWS: Final = ("worker", "cursor", "high_water", "stores", "stored", "unread")
_written: Final[dict[int, Report]] = {}
_since: Final = Since()


@app.timer(REPORT_INTERVAL)  # type: ignore[untyped-decorator]
async def report() -> None:
    """Write the report of each partition of this worker, if there is something new in it.

    Of one that it has to read in first too: how long that takes.
    """
    news = _since.news(dict(partition_reports.items()))
    told = {number: each.stored for number, each in news.items()}
    numbers = status.owned()
    high_waters = status.high_waters(numbers)
    of_worker = _of_worker()
    for number in numbers:
        index = runtime.decisions.index(number)
        if index is not None:
            _write(
                number,
                Report(
                    **of_worker,
                    cursor=index.cursor,
                    high_water=high_waters.get(number),
                    activity=index.activity,
                    stored=_stored(number, told),
                ),
            )
    for number in status.unread():
        unread = runtime.decisions.unread(number)
        before = partition_reports.get(number)
        if unread is not None and before is not None:
            left = {"unread": unread.records, "unread_seconds": unread.seconds}
            stored = _stored(number, told)
            _write(number, replace(before, **of_worker, **left, stored=stored))
    runtime.announcements.keep(told)


def _stored(number: int, told: Mapping[int, int]) -> int:
    """Up to where the history has a partition: as its owner before told, until it is known here."""
    known = runtime.stored(number)
    return told.get(number, 0) if known is None else known


def _of_worker() -> dict[str, Any]:
    """What is the same in all reports of a worker."""
    return {
        "worker": status.worker_name(),
        "at": time.time(),
        "latency": latency.percentiles(time.monotonic()),
        "stores": {name: SinkStatus(*each) for name, each in status.stores().items()},
        "model_version": runtime.scorer.version,
        "policy_version": runtime.policy.version,
    }


def _write(number: int, report: Report) -> None:
    if _worth_writing(number, report):
        _written[number] = report
        partition_reports.write(number, report)


def _worth_writing(number: int, new: Report) -> bool:
    old = _written.get(number)
    if old is None or new.at - old.at >= REPEAT_AFTER:
        return True
    return any(getattr(old, name) != getattr(new, name) for name in _NEWS)
