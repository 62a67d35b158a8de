"""Idempotent counts: inputs that are read again after a crash are not counted again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Annotated, Final, NamedTuple

from msgspec import Meta, Struct
from msgspec.structs import replace

from models.records import Outcome

DUPLICATE: Final = "duplicate"
"""The fate of an input whose transaction was decided before."""

OUTCOMES: Final = frozenset(outcome.value for outcome in Outcome)


Count = Annotated[int, Meta(ge=0)]


class Counted(NamedTuple):
    """An input that did not lead to a decision, and its fate."""

    offset: int
    fate: str
    """`DUPLICATE`, or the reason of a dead letter."""


class Counts(Struct, frozen=True):
    """Counts of one partition.

    Decisions are not counted here: their totals come from the decision index, which counts the
    decisions in the log. Duplicates and dead letters are counted from the inputs, up to and
    including one offset. Inputs that are read again after a crash have lower offsets and are
    skipped, where a plain `count += 1` would count them again.
    """

    offset: Annotated[int, Meta(ge=-1)] = -1
    """Offset of the last processed input; -1 if there is none."""
    fates: dict[str, Count] = {}
    """Decisions by outcome, and other inputs by fate."""
    topic_id: str = ""
    """Kafka's id of the topic that `offset` belongs to; "" if not known.

    A topic that was deleted and made again has the same name, but another id.
    """
    since: Count = 0
    """Offset in the decision log at which the inputs of this topic begin.

    Decisions before it are on inputs of an earlier topic with the same name. The record that is at
    their position now is another one.
    """

    def at(self, topic_id: str, *, end: int, next_offset: int) -> Counts:
        """Return the counts to continue with on a topic that ends at offset `end` now.

        If it is another topic than before, all its inputs are new. `next_offset` is then the next
        offset of the decision log, before the first of these inputs is decided. A topic without an
        id counts as another one if it is shorter than before. A topic with the same id that is
        shorter has lost its end: nobody can tell which records have replaced it. Its inputs may
        then be counted again, except those that led to a decision.
        """
        # A larger offset means that the decision log was replaced.
        since = self.since if self.since <= next_offset else 0
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
        """Add inputs up to `offset`; `decisions` are totals by outcome and replace the old ones."""
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
        offsets={partition: counts.offset for partition, counts in sorted(partitions.items())},
    )
