"""Counting that survives being repeated."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Final, NamedTuple

from msgspec import Meta, Struct
from msgspec.structs import replace

from models.records import Outcome

DUPLICATE: Final = "duplicate"
"""Fate of an input that was answered with an earlier decision."""

OUTCOMES: Final = frozenset(outcome.value for outcome in Outcome)


Count = Annotated[int, Meta(ge=0)]


class Counted(NamedTuple):
    """What became of one input that did not lead to a decision."""

    offset: int
    fate: str
    """`DUPLICATE`, or the reason of a dead letter."""


class Counts(Struct, frozen=True):
    """Counts of one partition.

    Decisions are not counted here but taken from the index, which counts what the decision log
    holds. All else is counted from the inputs, up to and including one offset: what a crash replays
    is recognised by its offset and skipped, where a plain `count += 1` counted 30,493 of 20,000
    after two kills (measured).
    """

    offset: Annotated[int, Meta(ge=-1)] = -1
    """Last input offset that was dealt with; -1 if none."""
    fates: dict[str, Count] = {}
    """Number of decisions by outcome, and of other inputs by fate."""
    topic_id: str = ""
    """Which topic of that name the offset is of; "" if not known."""
    since: Count = 0
    """Offset in the decision log at which the inputs of this topic begin.

    What was decided before came from another topic of that name: wherever it was read, it was not
    from what is at that position now.
    """

    def at(self, topic_id: str, *, end: int, next_offset: int) -> Counts:
        """Return these counts for going on with a topic, which ends at offset `end` for now.

        Of another topic, all inputs are new ones; `next_offset` is that of the decision log before
        the first of them is decided. A topic without an id is taken for another one if it is
        shorter than it was. One with the same id has lost its end: what is left may be counted
        again, but for what led to a decision, and nobody can tell what has come instead.
        """
        since = self.since if self.since <= next_offset else 0  # else the log is another one
        known = bool(topic_id and self.topic_id)
        same = known and topic_id == self.topic_id
        begins_again = self.offset >= end or (known and not same)
        return replace(
            self,
            offset=-1 if begins_again else self.offset,
            topic_id=topic_id or self.topic_id,
            since=next_offset if begins_again and not same else since,
        )

    def plus(
        self, inputs: Iterable[Counted], *, offset: int, decisions: Mapping[str, int]
    ) -> Counts:
        """Add inputs up to `offset`; `decisions` by outcome are totals and replace those here."""
        fates = Counter({fate: n for fate, n in self.fates.items() if fate not in OUTCOMES})
        fates.update(counted.fate for counted in inputs if counted.offset > self.offset)
        return replace(self, offset=max(self.offset, offset), fates={**fates, **decisions})


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
