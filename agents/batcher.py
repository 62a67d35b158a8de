"""Takes batches from the partition queues, and sees each of them through the pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from time import perf_counter
from typing import Any, Generic, Protocol, TypeVar

from agents.batch_sizer import BatchSizer
from agents.partition_queues import Events, PartitionQueues, partition_of, records_in


class OfPartition(Protocol):
    """The part of a batch that is of one partition."""

    partition: int


P = TypeVar("P", bound=OfPartition)


class Steps(Protocol[P]):
    """The steps of processing a batch: see `Pipeline` and `SurplusPartitions`."""

    def is_ready(self, partition: int) -> bool:
        """Whether `begin` can process this partition at once; else it gets a batch of its own."""

    async def begin(self, batch: Sequence[Events]) -> Sequence[P]:
        """Return the parts to finish, by partition; partitions that are missing were released."""

    async def finish(self, part: P) -> None:
        """Return once the next batch of this partition may begin."""


class Batcher(Generic[P]):
    """Begins one batch after the other, without waiting for the end of those in flight.

    A partition is in at most one batch in flight, and is free again once its own part is finished,
    whatever the batch's other partitions do.
    """

    def __init__(
        self,
        queues: PartitionQueues,
        sizer: BatchSizer,
        steps: Steps[P],
        *,
        ended: Callable[[asyncio.Task[Any]], None],
    ) -> None:
        """`ended` gets each finished task: a failed one keeps its partitions in flight for ever."""
        self._queues = queues
        self._sizer = sizer
        self._steps = steps
        self._ended = ended
        self._in_flight: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Make batches for ever."""
        while True:
            for batch in self._apart(await self._queues.take()):
                task = asyncio.create_task(self._process(batch))
                self._in_flight.add(task)
                task.add_done_callback(self._in_flight.discard)
                task.add_done_callback(self._ended)

    def _apart(self, taken: Sequence[Events]) -> Iterator[Sequence[Events]]:
        together: list[Events] = []
        for events in taken:
            if self._steps.is_ready(partition_of(events)):
                together.append(events)
            else:
                yield [events]
        if together:
            yield together

    async def _process(self, batch: Sequence[Events]) -> None:
        started = perf_counter()
        parts = await self._steps.begin(batch)
        records = {partition_of(events): records_in(events) for events in batch}
        for partition in records.keys() - {part.partition for part in parts}:
            self._queues.free(partition)
        await asyncio.gather(*map(self._finish, parts))
        # Released partitions did no work; counting them would skew the estimate.
        self._sizer.observe(
            sum(records[each.partition] for each in parts), perf_counter() - started
        )

    async def _finish(self, part: P) -> None:
        await self._steps.finish(part)
        self._queues.free(part.partition)
