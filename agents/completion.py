"""Completes appended batches, beside the pipeline: counts, then acknowledges them.

Only the commit of offsets waits for the counts' changelog; the next batch does not.
"""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from agents.partition_queues import Events
from fraudapp.condition import Condition
from models.counts import Counted

MAX_UNCOUNTED: Final = 10_000
"""Records of a partition that wait to be counted, at most, unless a single batch has more."""
FLUSH_INTERVAL: Final = 0.05
"""Seconds between two flushes, at least: only the commit of offsets waits for one."""


class Appended(NamedTuple):
    """A batch of one partition whose decisions and dead letters are in Kafka."""

    partition: int
    events: Events
    counted: Sequence[Counted]
    """The outcomes of the inputs that led to no decision."""
    offset: int
    """Offset of the last input."""
    records: int


class Completion:
    """Flushes the appended batches of each partition: writes their counts, then acknowledges them.

    What arrives during a flush goes into the next one. All free partitions are flushed at once:
    their counts are one request to the broker. A partition whose counts the broker does not
    accept holds up no other.
    """

    def __init__(
        self,
        complete: Callable[[int, Sequence[Appended]], Awaitable[None]],
        *,
        ended: Callable[[asyncio.Task[Any]], None],
    ) -> None:
        """`complete` writes the counts of a partition and acknowledges its record batches.

        `ended` is called with each task when it ends: a failed one completes nothing more.
        """
        self._complete = complete
        self._ended = ended
        self._waiting: defaultdict[int, list[Appended]] = defaultdict(list)
        self._records: Counter[int] = Counter()
        self._condition = Condition()
        self._flushing: dict[int, asyncio.Task[None]] = {}

    async def put(self, appended: Appended) -> None:
        """Add a batch; waits while `MAX_UNCOUNTED` records of its partition are not counted yet."""
        records, partition = self._records, appended.partition
        await self._condition.wait_for(
            lambda: not records[partition] or records[partition] + appended.records <= MAX_UNCOUNTED
        )
        self._waiting[partition].append(appended)
        records[partition] += appended.records
        self._condition.notify()

    async def run(self) -> None:
        """Flush for ever."""
        while True:
            await self._condition.wait_for(lambda: bool(self._free()))
            for partition in self._free():
                task = asyncio.create_task(self._flush(partition, self._waiting.pop(partition)))
                self._flushing[partition] = task
                task.add_done_callback(self._ended)
            await asyncio.sleep(FLUSH_INTERVAL)

    def _free(self) -> list[int]:
        return [partition for partition in self._waiting if partition not in self._flushing]

    async def _flush(self, partition: int, taken: Sequence[Appended]) -> None:
        await self._complete(partition, taken)
        del self._flushing[partition]
        self._records[partition] -= sum(appended.records for appended in taken)
        self._condition.notify()
