"""A queue for each partition, in which its record batches wait for their turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from faust.types import EventT

from agents.batch_sizer import BatchSizer
from fraudapp.condition import Condition
from fraudapp.kafka.record_batch import record_batch_of

Events = Sequence[EventT[Any]]
"""Record batches of one partition, in their order."""

MAX_QUEUED_BYTES: Final = 2_000_000
"""Bytes that wait in a queue before it is full."""
MAX_BATCH_BYTES: Final = 2_000_000
"""Once a batch holds this many bytes, no further partition joins it."""
LINGER_TURNS: Final = 5
"""Turns of the event loop without a new record batch, after which the linger ends.

Faust needs two or three turns from one record batch of a fetch to the next.
"""


class PartitionQueues:
    """Record batches that wait for the pipeline, by partition.

    `take` returns as much as the sizer allows, so batches are small under light load and grow under
    heavy load. A partition that was taken from is in flight until it is `free`d, and nothing more
    of it is taken meanwhile: its records are processed in their order, and what one batch decides
    the next one knows.
    """

    def __init__(self, sizer: BatchSizer, room: Callable[[], None] = lambda: None) -> None:
        """`sizer` limits what is taken at once; `room` is called when a full queue has room."""
        self._sizer = sizer
        self._room = room
        self._queues: dict[int, _PartitionQueue] = {}  # those that were served last come last
        self._condition = Condition()

    def put(self, event: EventT[Any]) -> None:
        """Add a record batch, even to a full queue: the consumer asks `is_full` beforehand."""
        self._queues.setdefault(event.message.partition, _PartitionQueue()).add(event)
        self._condition.notify()

    def is_full(self, partition: int) -> bool:
        """Whether no more of a partition should be fetched until some of it is taken."""
        queue = self._queues.get(partition)
        return queue is not None and not queue.has_room(2 * self._sizer.size)

    async def take(self) -> list[Events]:
        """Return the next batch, by partition; waits until there is one."""
        await self._condition.wait_for(lambda: any(self._free()))
        await self._linger()
        batch: list[Events] = []
        room, size = self._sizer.size, 0
        full = [partition for partition in self._queues if self.is_full(partition)]
        for queue in self._free():
            if size < MAX_BATCH_BYTES and (taken := queue.take(room, at_least=0 if batch else 1)):
                batch.append(taken)
                room -= records_in(taken)
                size += sum(record_batch_of(event.message).size for event in taken)
        if not all(map(self.is_full, full)):
            self._room()
        return batch

    def free(self, partition: int) -> None:
        """Mark a partition as no longer in flight."""
        queue = self._queues[partition] = self._queues.pop(partition)
        queue.in_flight = False
        self._condition.notify()

    async def _linger(self) -> None:
        """Wait for the other record batches of the same fetch: each batch costs a scoring call."""
        turns, records = 0, self._free_records()
        while turns < LINGER_TURNS and records < self._sizer.size:
            await asyncio.sleep(0)
            before, records = records, self._free_records()
            turns = turns + 1 if records == before else 0

    def _free(self) -> list[_PartitionQueue]:
        return [queue for queue in self._queues.values() if queue.waiting and not queue.in_flight]

    def _free_records(self) -> int:
        return sum(queue.records for queue in self._free())


class _PartitionQueue:
    """The record batches of one partition."""

    def __init__(self) -> None:
        self.waiting: deque[EventT[Any]] = deque()
        self.records = 0
        self.in_flight = False
        self._bytes = 0

    def has_room(self, records: int) -> bool:
        return self.records < records and self._bytes < MAX_QUEUED_BYTES

    def add(self, event: EventT[Any]) -> None:
        self.waiting.append(event)
        self._count(event, 1)

    def take(self, room: int, at_least: int) -> Events:
        """Take up to `room` records, but at least so many record batches; in flight until freed."""
        taken: list[EventT[Any]] = []
        while self.waiting:
            records = record_batch_of(self.waiting[0].message).count
            if records > room and len(taken) >= at_least:
                break
            room -= records
            taken.append(self.waiting.popleft())
            self._count(taken[-1], -1)
        self.in_flight = bool(taken)
        return taken

    def _count(self, event: EventT[Any], sign: int) -> None:
        batch = record_batch_of(event.message)
        self.records += sign * batch.count
        self._bytes += sign * batch.size


def partition_of(events: Events) -> int:
    """Return the partition that the record batches are of."""
    return int(events[0].message.partition)


def records_in(events: Events) -> int:
    """Return how many records the record batches hold."""
    return sum(record_batch_of(event.message).count for event in events)
