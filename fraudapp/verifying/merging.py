"""Merges the partitions of a topic by moment, with some chunks of each in memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing
from typing import Generic, TypeVar

T = TypeVar("T")

Chunks = AsyncGenerator[list[T], None]
"""Lists that follow each other."""


async def merged(partitions: Sequence[Chunks[T]], moment: Callable[[T], float]) -> Chunks[T]:
    """Yield what partitions have by moment, then partition, then place in it.

    In a partition, no moment is before an earlier one. All are closed at the end.
    """
    async with AsyncExitStack() as stack:
        for each in partitions:
            await stack.enter_async_context(aclosing(each))
        sources = [_Source(each, moment) for each in partitions]
        for source in sources:
            await source.fill()
        while any(source.waiting for source in sources):
            open_ones = [source for source in sources if not source.is_exhausted]
            end = min((source.last for source in open_ones), default=None)
            found = [each for source in sources for each in source.take(end)]
            found.sort(key=moment)  # which keeps the order of what is of one moment
            if found:
                yield found
            for source in open_ones:
                if source.last == end:
                    await source.fill()


class _Source(Generic[T]):
    """A partition, and what was read of it and not taken."""

    def __init__(self, chunks: Chunks[T], moment: Callable[[T], float]) -> None:
        self._chunks = chunks
        self._moment = moment
        self.waiting: list[T] = []
        self.is_exhausted = False
        self.last = 0.0
        """The moment of the last record that was read."""

    async def fill(self) -> None:
        """Read on."""
        chunk = await anext(self._chunks, None)
        while chunk is not None and not chunk:
            chunk = await anext(self._chunks, None)
        if chunk is None:
            self.is_exhausted = True
            return
        self.waiting += chunk
        self.last = self._moment(chunk[-1])

    def take(self, end: float | None) -> list[T]:
        """Take what is before a moment; all without one."""
        place = len(self.waiting)
        if end is not None:
            while place and self._moment(self.waiting[place - 1]) >= end:
                place -= 1
        taken, self.waiting = self.waiting[:place], self.waiting[place:]
        return taken
