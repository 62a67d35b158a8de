"""Tells the other workers, about once a second, what this one knows of its partitions."""

from __future__ import annotations

import time
from typing import Final

from fraudapp import state
from fraudapp.app import app, runtime
from fraudapp.metrics import latency
from tables.partition_reports import Report, StoreReport, partition_reports

REPORT_INTERVAL: Final = 1.0
"""Seconds between two reports, at least."""
REPEAT_AFTER: Final = 5.0
"""Seconds after which a report is written again though nothing has changed.

A worker that was paused may have written over it when the partition was no longer its own.
"""

_NEWS: Final = ("cursor", "high_water", "stores", "stored")
_written: Final[dict[int, Report]] = {}


@app.timer(REPORT_INTERVAL)  # type: ignore[untyped-decorator]
async def report() -> None:
    """Write the report of each partition of this worker, if there is something new in it."""
    percentiles = latency.percentiles(time.monotonic())
    numbers = state.owned()
    high_waters = state.high_waters(numbers)
    stores = {name: StoreReport(*each) for name, each in state.stores().items()}
    for number in numbers:
        ledger = runtime.decisions.ledger(number)
        if ledger is None:
            continue
        written = Report(
            worker=state.worker_name(),
            at=time.time(),
            cursor=ledger.cursor,
            high_water=high_waters.get(number),
            latency=percentiles,
            stores=stores,
            model_version=runtime.scorer.version,
            policy_version=runtime.policy.version,
            activity=ledger.activity,
            stored=runtime.stored(number),
        )
        if _worth_writing(number, written):
            _written[number] = written
            partition_reports.write(number, written)
    await partition_reports.delivered()
    if runtime.announcements.lacking:
        stored = {number: each.stored for number, each in partition_reports.items()}
        runtime.announcements.keep(stored)


def _worth_writing(number: int, new: Report) -> bool:
    old = _written.get(number)
    if old is None or new.at - old.at >= REPEAT_AFTER:
        return True
    return any(getattr(old, name) != getattr(new, name) for name in _NEWS)
