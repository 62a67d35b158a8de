"""Counts what the lanes are done with, beside them: only the commit waits for the changelog."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, NamedTuple

from agents.partition_queues import Events
from fraudapp.condition import Changes
from models.counts import Counted

MOST: Final = 10_000
"""Records of a partition that wait to be counted, at most, unless a single batch has more."""
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
    """Hands on what is done by partition; what comes of one meanwhile is its next lot.

    All that are free are handed on at once: their counts are one request to the broker. One whose
    counts the broker does not take holds up no other.
    """

    def __init__(
        self,
        count: Callable[[int, Sequence[Done]], Awaitable[None]],
        *,
        ended: Callable[[asyncio.Task[Any]], None],
    ) -> None:
        """`count` writes the counts of a partition and finishes the runs.

        `ended` is called with each task when it ends: one that failed counts no more.
        """
        self._count = count
        self._ended = ended
        self._waiting: defaultdict[int, list[Done]] = defaultdict(list)
        self._records: Counter[int] = Counter()
        self._changes = Changes()
        self._counted: dict[int, asyncio.Task[None]] = {}  # what goes on, by partition
        self.work: Final = asyncio.create_task(self._work())
        self.work.add_done_callback(ended)

    async def put(self, done: Done) -> None:
        """Add a batch, once there is room for it."""
        records = self._records
        await self._changes.until(
            lambda: not records[done.number] or records[done.number] + done.records <= MOST
        )
        self._waiting[done.number].append(done)
        records[done.number] += done.records
        self._changes.notify()

    async def _work(self) -> None:
        while True:
            await self._changes.until(lambda: bool(self._free()))
            for number in self._free():
                task = asyncio.create_task(self._one(number, self._waiting.pop(number)))
                self._counted[number] = task
                task.add_done_callback(self._ended)
            await asyncio.sleep(INTERVAL)

    def _free(self) -> list[int]:
        return [number for number in self._waiting if number not in self._counted]

    async def _one(self, number: int, taken: Sequence[Done]) -> None:
        await self._count(number, taken)
        del self._counted[number]
        self._records[number] -= sum(done.records for done in taken)
        self._changes.notify()
