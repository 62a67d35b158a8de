"""The contract of all places where labels are kept."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, time, timezone
from typing import Protocol

from fraudapp.labels.records import LabelledRecord


class LabelStore(Protocol):
    """A place where labels are kept; keeping one twice, or an older one after it, is harmless.

    Purges and retention delete labels together with the decisions that they are about.
    """

    name: str
    """That of the sink whose purges hold for it."""
    max_batch: int
    """Records that one `keep` should have, at most."""
    linger: float
    """Seconds that records may wait to be kept together."""

    async def open(self) -> None:
        """Make ready, or raise `SinkUnavailable`; called again until it succeeds."""

    async def close(self) -> None:
        """Close the connections; harmless if never opened."""

    async def keep(self, records: Sequence[LabelledRecord]) -> None:
        """Keep the labels of all records.

        Raises `SinkUnavailable`, and the same may be kept again; or `DecisionRejected`, if one of
        them will never be taken.
        """


def unpurged(records: Sequence[LabelledRecord], before: date | None) -> Sequence[LabelledRecord]:
    """Return the records about decisions of days that were not purged."""
    if before is None:
        return records
    begin = datetime.combine(before, time(), timezone.utc)
    return [each for each in records if each.labelled.decision.decided_at >= begin]
