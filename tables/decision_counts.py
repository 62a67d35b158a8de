"""The table of counts: decisions by outcome, duplicates, dead letters by reason.

Each partition's owner writes its counts, and every worker reads those of all.
"""

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
    """Add the table to the app and return it."""
    return ByPartition(
        app,
        settings,
        "decision-counts",
        value=Counts,
        help="Counts of decisions, duplicates and dead letters, by partition.",
    )


class Progress(NamedTuple):
    """The processed inputs of one partition that are to be counted."""

    inputs: Iterable[Counted]
    """Those that did not lead to a decision."""
    offset: int
    """Offset of the last processed input."""
    decisions: Mapping[str, int]
    """Totals by outcome, from the decision index."""


class OwnCounts:
    """Writes the counts of the partitions this worker owns.

    A partition's counts are read from the table when the worker is assigned the partition, and are
    kept in memory from then on. A paused worker that does not know yet of a rebalance may still
    write old counts into the table; `refresh` overwrites them.
    """

    def __init__(self, table: ByPartition[Counts]) -> None:
        self._table = table
        self._taken_over: dict[int, int] = {}
        self._begun: dict[int, int] = {}
        self._counts: dict[int, Counts] = {}

    def has_begun(self, generation: int, partition: int) -> bool:
        """Whether `begin` was called for the partition in this generation."""
        return self._begun.get(partition) == generation

    async def begin(
        self, generation: int, partition: int, topic_id: str, *, end: int, next_offset: int
    ) -> None:
        """Continue the counts with the topic that exists now; see `Counts.at`.

        Called after an assignment, before any input of the partition is decided. Returns once the
        changelog topic has the result, so that later decisions cannot be mistaken for those on
        inputs of an earlier topic.
        """
        self._take_over(generation, partition)
        before = self._counts[partition]
        counts = self._counts[partition] = before.at(topic_id, end=end, next_offset=next_offset)
        if (counts.offset, counts.since) != (before.offset, before.since):
            log.warning(
                "partition %d of the transactions topic was recreated or cut: counting goes on "
                "from offset %d, was at %d; totals are kept",
                *(partition, counts.offset + 1, before.offset + 1),
            )
        if counts != before:
            self._table.write(partition, counts)
            await self._table.delivered(partition)
        self._begun[partition] = generation

    def since(self, partition: int) -> int:
        """Return the offset in the decision log at which the inputs of this topic begin."""
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
        """Write the counts of these partitions again, with the totals of their decision indexes."""
        for partition, totals in decisions.items():
            self._write(generation, partition, Progress((), -1, totals))

    def _write(self, generation: int, partition: int, progress: Progress) -> None:
        self._take_over(generation, partition)
        inputs, offset, decisions = progress
        counts = self._counts[partition].plus(inputs, offset=offset, decisions=decisions)
        self._counts[partition] = counts
        self._table.write(partition, counts)
