"""A lane for each partition, in which its runs wait for their turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final

from faust.types import EventT

from agents.batch_sizer import Pace
from fraudapp.condition import Changes
from fraudapp.kafka.consumer import run_of

Events = Sequence[EventT[Any]]
"""Runs of one partition, in their order."""

LARGEST_WAIT: Final = 2_000_000
"""Bytes that wait in a lane before it is full."""
LARGEST_BATCH: Final = 2_000_000
"""Bytes of a batch to which no other partition is added."""
TURNS: Final = 5
"""Turns of the event loop without a new run after which a batch is made of those that wait. Faust
takes two or three of them from one run of a fetch to the next; an idle loop has done five in
20 us (measured)."""


class Lanes:
    """What waits, by partition; taken together, as much as `pace` allows.

    So batches are as small as can be under light load, and grow under heavy load. A partition of
    which something is taken has to be `free`d before more of it is: its runs are processed in their
    order, and what one batch decides the next one knows.
    """

    def __init__(self, pace: Pace, room: Callable[[], None] = lambda: None) -> None:
        """`pace` tells how many records make a batch; `room` is called when a full one has room."""
        self._pace = pace
        self._room = room
        self._lanes: dict[int, _Lane] = {}  # those that were served last come last
        self._changes = Changes()

    def put(self, event: EventT[Any]) -> None:
        """Add a run, to a full lane too: who fetches asks before. Nobody waits for another lane."""
        self._lanes.setdefault(event.message.partition, _Lane()).add(event)
        self._changes.notify()

    def is_full(self, number: int) -> bool:
        """Whether no more of a partition should be fetched until some of it is taken."""
        lane = self._lanes.get(number)
        return lane is not None and not lane.has_room(2 * self._pace.size)

    async def take(self) -> list[Events]:
        """Return what is to be processed together, by partition, once there is something."""
        await self._changes.until(lambda: any(self._free()))
        await self._gather()
        batch: list[Events] = []
        room, size = self._pace.size, 0
        full = [number for number in self._lanes if self.is_full(number)]
        for lane in self._free():
            if size < LARGEST_BATCH and (taken := lane.take(room, at_least=0 if batch else 1)):
                batch.append(taken)
                room -= records_in(taken)
                size += sum(run_of(event.message).size for event in taken)
        if not all(map(self.is_full, full)):
            self._room()
        return batch

    def free(self, number: int) -> None:
        """Say that what was taken of a partition is done with."""
        lane = self._lanes[number] = self._lanes.pop(number)
        lane.busy = False
        self._changes.notify()

    async def _gather(self) -> None:
        """Wait for the other runs of the same fetch; there is a scoring for each batch."""
        turns, records = 0, self._free_records()
        while turns < TURNS and records < self._pace.size:
            await asyncio.sleep(0)
            before, records = records, self._free_records()
            turns = turns + 1 if records == before else 0

    def _free(self) -> list[_Lane]:
        return [lane for lane in self._lanes.values() if lane.waiting and not lane.busy]

    def _free_records(self) -> int:
        return sum(lane.records for lane in self._free())


class _Lane:
    """The runs of one partition."""

    def __init__(self) -> None:
        self.waiting: deque[EventT[Any]] = deque()
        self.records = 0
        self.busy = False
        self._bytes = 0

    def has_room(self, records: int) -> bool:
        return self.records < records and self._bytes < LARGEST_WAIT

    def add(self, event: EventT[Any]) -> None:
        self.waiting.append(event)
        self._count(event, 1)

    def take(self, room: int, at_least: int) -> Events:
        """Take runs with so many records, but so many runs at least; busy with them until freed."""
        taken: list[EventT[Any]] = []
        while self.waiting:
            records = run_of(self.waiting[0].message).count
            if records > room and len(taken) >= at_least:
                break
            room -= records
            taken.append(self.waiting.popleft())
            self._count(taken[-1], -1)
        self.busy = bool(taken)
        return taken

    def _count(self, event: EventT[Any], sign: int) -> None:
        run = run_of(event.message)
        self.records += sign * run.count
        self._bytes += sign * run.size


def number_of(events: Events) -> int:
    """Return the partition that the runs are of."""
    return int(events[0].message.partition)


def records_in(events: Events) -> int:
    """Return how many records the runs hold."""
    return sum(run_of(event.message).count for event in events)
