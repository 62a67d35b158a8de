"""How long a worker rests before it fetches again: not at all, or longer the busier it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

BUSY: Final = 0.6
"""Share of the time that the event loop works, from which on fetches rest."""
FULL: Final = 0.9
"""The same, from which on they rest for as long as they may."""
WINDOW: Final = 0.02
"""Seconds of which the share is taken, at least."""
MEMORY: Final = 0.2
"""Seconds that the moving average of it looks back."""


class FetchThrottle:
    """Learns from the event loop's use of its core how long to rest.

    With time to spare, each record is delivered as soon as it is there. Without, what a fetch and a
    batch cost is paid too often, and records wait for the loop: then it is better that they wait at
    the broker, and come together. With four partitions at 2,000 transactions a second on two cores
    the loop worked .95 of the time, with a p99 of 45 ms from produce to decision; resting, .73 to
    .79, and 27 to 32 (nothing else had run there before).

    What counts is the core that the loop gets: one that is given less than `BUSY` of a core, by a
    limit or by others, never rests.
    """

    def __init__(
        self,
        longest: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.thread_time,
    ) -> None:
        """`longest` is in seconds; `worked` tells those that this thread has been at work."""
        self._longest = longest
        self._clock = clock
        self._worked = worked
        self._since = clock(), worked()
        self._share = 0.0

    def seconds(self) -> float:
        """How long to rest now; to be asked in the loop, before each fetch."""
        (began, before), (now, worked) = self._since, (self._clock(), self._worked())
        if now - began >= WINDOW:
            weight = min(1.0, (now - began) / MEMORY)
            self._share += weight * ((worked - before) / (now - began) - self._share)
            self._since = now, worked
        return self._longest * min(1.0, max(0.0, (self._share - BUSY) / (FULL - BUSY)))


def throttled(
    fetch: Callable[..., Awaitable[bool]], rest: FetchThrottle
) -> Callable[..., Awaitable[bool]]:
    """Return a fetch that rests before it is sent.

    The broker could hold it back as well (`fetch.min.bytes`), but would then answer every few
    milliseconds when it has nothing.
    """

    async def fetch_rested(*args: Any) -> bool:
        if seconds := rest.seconds():
            await asyncio.sleep(seconds)
        return await fetch(*args)

    return fetch_rested
