"""Counts what the lanes are done with, beside them: only the commit waits for the changelog."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple

from agents.lanes import Events
from fraudapp.changes import Changes
from models.counts import Counted

MOST: Final = 10_000
"""Records that wait to be counted, at most, unless a single batch has more."""
INTERVAL: Final = 0.05
"""Seconds from one lot to the next, at least: only the commit of offsets waits for it."""


class Done(NamedTuple):
    """A batch of one partition whose decisions and dead letters are in Kafka."""

    number: int
    events: Events
    counted: Sequence[Counted]
    """What became of the inputs that led to no decision."""
    offset: int
    """Of the last input."""
    records: int


class Counting:
    """Hands on what is done, all partitions together: what comes meanwhile is the next lot."""

    def __init__(self, count: Callable[[Sequence[Done]], Awaitable[None]]) -> None:
        """`count` writes the counts and finishes the runs; what it raises ends the work."""
        self._count = count
        self._waiting: list[Done] = []
        self._records = 0
        self._changes = Changes()
        self.work: Final = asyncio.create_task(self._work())

    async def put(self, done: Done) -> None:
        """Add a batch, once there is room for it."""
        await self._changes.until(lambda: not self._records or self._records + done.records <= MOST)
        self._waiting.append(done)
        self._records += done.records
        self._changes.notify()

    async def _work(self) -> None:
        while True:
            await self._changes.until(lambda: bool(self._waiting))
            taken, self._waiting = self._waiting, []
            pause = asyncio.create_task(asyncio.sleep(INTERVAL))
            await self._count(taken)
            self._records -= sum(done.records for done in taken)
            self._changes.notify()
            await pause


def by_partition(taken: Sequence[Done]) -> dict[int, tuple[list[Counted], int]]:
    """What is to be counted of each partition, and the offset of its last input."""
    counted: dict[int, list[Counted]] = defaultdict(list)
    offsets: dict[int, int] = {}
    for done in taken:
        counted[done.number] += done.counted
        offsets[done.number] = max(done.offset, offsets.get(done.number, -1))
    return {number: (counted[number], offset) for number, offset in offsets.items()}
