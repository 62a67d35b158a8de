"""Counting that survives being repeated: counts and the last offset counted are one value."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from msgspec import Struct

from models.records import Outcome

DUPLICATE: Final = "duplicate"
"""Fate of an input that was answered with an earlier decision."""


class Counted(NamedTuple):
    """What became of one input."""

    offset: int
    fate: str
    """An outcome, `DUPLICATE`, or the reason of a dead letter."""


class Counts(Struct, frozen=True):
    """Counts of one input partition, from its beginning up to and including one offset.

    A value is a function of the log up to `offset`, so an old copy is as good as the newest one if
    counting goes on at `offset + 1`: what a crash replays is recognised by its offset and skipped.
    """

    offset: int = -1
    """Last input offset counted; -1 if none."""
    fates: dict[str, int] = {}
    """Number of inputs by fate."""

    def plus(self, inputs: Iterable[Counted]) -> Counts:
        """Count those inputs that are not counted yet."""
        fresh = [counted for counted in inputs if counted.offset > self.offset]
        if not fresh:
            return self
        fates = Counter(self.fates)
        fates.update(counted.fate for counted in fresh)
        return Counts(max(counted.offset for counted in fresh), dict(fates))


class Totals(Struct, frozen=True):
    """Counts of the whole cluster."""

    decisions: dict[str, int]
    """Distinct decisions by outcome; every outcome is there."""
    duplicates: int
    dead_letters: dict[str, int]
    """Rejected inputs by reason."""
    offsets: dict[int, int]
    """Last input offset counted, by partition."""


def total(partitions: Mapping[int, Counts]) -> Totals:
    """Add up the counts of all input partitions."""
    fates: Counter[str] = Counter()
    for counts in partitions.values():
        fates.update(counts.fates)
    decisions = {outcome.value: fates.pop(outcome.value, 0) for outcome in Outcome}
    duplicates = fates.pop(DUPLICATE, 0)
    return Totals(
        decisions=decisions,
        duplicates=duplicates,
        dead_letters=dict(sorted(fates.items())),
        offsets={number: counts.offset for number, counts in sorted(partitions.items())},
    )
