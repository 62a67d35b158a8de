"""One lane for each partition: its runs are processed in order, beside those of the others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from time import perf_counter
from typing import Any, Final

from faust.types import EventT

from agents.pace import Pace
from fraudapp.changes import Changes
from fraudapp.transport import run_of

Events = Sequence[EventT[Any]]

LARGEST_WAIT: Final = 2_000_000
"""Bytes that wait in a lane before it takes no more, at most, unless one run is larger."""


class Lane:
    """The runs of one partition, and the task that processes them: all that wait at once.

    So batches are as small as can be under light load, and grow under heavy load up to what `pace`
    allows.
    """

    def __init__(self, process: Callable[[Events], Awaitable[None]], pace: Pace) -> None:
        """`process` takes a batch the whole way; what it raises ends the lane."""
        self._process = process
        self._pace = pace
        self._waiting: deque[EventT[Any]] = deque()
        self._records = 0
        self._bytes = 0
        self._changes = Changes()
        self.work: Final = asyncio.create_task(self._work())

    async def put(self, event: EventT[Any]) -> None:
        """Add a run, once there is room for it."""
        await self._changes.until(self._has_room)
        self._waiting.append(event)
        self._held(event, 1)
        self._changes.notify()

    async def _work(self) -> None:
        while True:
            await self._changes.until(lambda: bool(self._waiting))
            events = self._batch()
            started = perf_counter()
            await self._process(events)
            records = sum(len(run_of(event.message).records) for event in events)
            self._pace.observe(records, perf_counter() - started)

    def _batch(self) -> list[EventT[Any]]:
        events: list[EventT[Any]] = []
        room = self._pace.size
        while self._waiting:
            records = len(run_of(self._waiting[0].message).records)
            if events and records > room:
                break
            room -= records
            events.append(self._waiting.popleft())
            self._held(events[-1], -1)
        self._changes.notify()
        return events

    def _has_room(self) -> bool:
        return self._records < 2 * self._pace.size and self._bytes < LARGEST_WAIT

    def _held(self, event: EventT[Any], sign: int) -> None:
        run = run_of(event.message)
        self._records += sign * len(run.records)
        self._bytes += sign * run.size
