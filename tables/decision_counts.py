"""The counts of every partition."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from models.counts import Counted, Counts, Totals, total
from tables.global_table import ByPartition

log = logging.getLogger(__name__)

decision_counts: Final = ByPartition(
    "decision-counts",
    value=Counts,
    help="Counts of decisions, duplicates and dead letters, by partition.",
)


class Progress(NamedTuple):
    """What became of inputs of one partition."""

    inputs: Iterable[Counted]
    offset: int
    """The last of them."""
    decisions: Mapping[str, int]
    """Totals by outcome, from the index."""


class OwnCounts:
    """Writes the counts of the partitions this worker owns.

    The value is read from the table when a partition is taken over, and kept in memory from then
    on: a worker that was paused and does not know yet that its partitions have gone may still write
    an old value into the table. `refresh` writes over it.
    """

    def __init__(self) -> None:
        self._taken_over: dict[int, int] = {}
        self._begun: dict[int, int] = {}
        self._counts: dict[int, Counts] = {}

    def has_begun(self, generation: int, partition: int) -> bool:
        """Whether `begin` was called."""
        return self._begun.get(partition) == generation

    async def begin(
        self, generation: int, partition: int, topic_id: str, *, end: int, cursor: int
    ) -> None:
        """Go on with the topic there is now, see `Counts.at`; before anything of it is decided.

        Returns once the changelog topic has it: what is decided next is not of before.
        """
        self._take_over(generation, partition)
        before = self._counts[partition]
        counts = self._counts[partition] = before.at(topic_id, end=end, cursor=cursor)
        if (counts.offset, counts.since) != (before.offset, before.since):
            log.warning(
                "partition %d of the topic of transactions begins again at offset %d, where it had "
                "been read up to %d before; totals go on",
                *(partition, counts.offset + 1, before.offset + 1),
            )
        if counts != before:
            decision_counts.write(partition, counts)
            await decision_counts.delivered(partition)
        self._begun[partition] = generation

    def since(self, partition: int) -> int:
        """Offset in the decision log up to which decisions are on inputs of another topic."""
        return self._counts[partition].since

    def _take_over(self, generation: int, partition: int) -> None:
        if self._taken_over.get(partition) != generation:
            self._counts[partition] = decision_counts.get(partition) or Counts()
            self._taken_over[partition] = generation

    async def add(self, generation: int, partition: int, progress: Progress) -> None:
        """Count inputs of a partition; returns once the changelog topic has the counts."""
        self._write(generation, partition, progress)
        await decision_counts.delivered(partition)

    def refresh(self, generation: int, decisions: Mapping[int, Mapping[str, int]]) -> None:
        """Write the counts of these partitions again, with these totals of their indexes."""
        for partition, totals in decisions.items():
            self._write(generation, partition, Progress((), -1, totals))

    def _write(self, generation: int, partition: int, progress: Progress) -> None:
        self._take_over(generation, partition)
        inputs, offset, decisions = progress
        counts = self._counts[partition].plus(inputs, offset=offset, decisions=decisions)
        self._counts[partition] = counts
        decision_counts.write(partition, counts)


def totals() -> Totals:
    """Counts of the whole cluster, as far as this worker has heard."""
    return total(dict(decision_counts.items()))
