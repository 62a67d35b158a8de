"""The counts of every partition: decisions by outcome, duplicates, dead letters by reason."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from faust import App

from fraudapp.settings import Settings
from models.counts import Counted, Counts
from tables.global_table import ByPartition

log = logging.getLogger(__name__)


def new_table(app: App, settings: Settings) -> ByPartition[Counts]:
    """Return the table; it is the app's from then on."""
    return ByPartition(
        app,
        settings,
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

    def __init__(self, table: ByPartition[Counts]) -> None:
        self._table = table
        self._taken_over: dict[int, int] = {}
        self._begun: dict[int, int] = {}
        self._counts: dict[int, Counts] = {}

    def has_begun(self, generation: int, partition: int) -> bool:
        """Whether `begin` was called."""
        return self._begun.get(partition) == generation

    async def begin(
        self, generation: int, partition: int, topic_id: str, *, end: int, next_offset: int
    ) -> None:
        """Go on with the topic there is now, see `Counts.at`; before anything of it is decided.

        Returns once the changelog topic has it: what is decided next is not of before.
        """
        self._take_over(generation, partition)
        before = self._counts[partition]
        counts = self._counts[partition] = before.at(topic_id, end=end, next_offset=next_offset)
        if (counts.offset, counts.since) != (before.offset, before.since):
            log.warning(
                "partition %d of the topic of transactions begins again at offset %d, where it had "
                "been read up to %d before; totals go on",
                *(partition, counts.offset + 1, before.offset + 1),
            )
        if counts != before:
            self._table.write(partition, counts)
            await self._table.delivered(partition)
        self._begun[partition] = generation

    def since(self, partition: int) -> int:
        """Offset in the decision log up to which decisions are on inputs of another topic."""
        return self._counts[partition].since

    def _take_over(self, generation: int, partition: int) -> None:
        if self._taken_over.get(partition) != generation:
            self._counts[partition] = self._table.get(partition) or Counts()
            self._taken_over[partition] = generation

    async def add(self, generation: int, partition: int, progress: Progress) -> None:
        """Count inputs of a partition; returns once the changelog topic has the counts."""
        self._write(generation, partition, progress)
        await self._table.delivered(partition)

    def refresh(self, generation: int, decisions: Mapping[int, Mapping[str, int]]) -> None:
        """Write the counts of these partitions again, with these totals of their indexes."""
        for partition, totals in decisions.items():
            self._write(generation, partition, Progress((), -1, totals))

    def _write(self, generation: int, partition: int, progress: Progress) -> None:
        self._take_over(generation, partition)
        inputs, offset, decisions = progress
        counts = self._counts[partition].plus(inputs, offset=offset, decisions=decisions)
        self._counts[partition] = counts
        self._table.write(partition, counts)
