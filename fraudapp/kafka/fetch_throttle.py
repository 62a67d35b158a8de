"""Delays fetches the more, the busier the event loop is, so that records come in larger batches."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final

THROTTLED_FROM_LOAD: Final = 0.6
"""Share of the time that the event loop works, above which fetches are delayed."""
FULL_DELAY_FROM_LOAD: Final = 0.9
"""Share of the time that the event loop works, from which on the delay is the longest."""
MIN_SAMPLE_SECONDS: Final = 0.02
"""Seconds over which the load is measured, at least."""
AVERAGING_SECONDS: Final = 0.2
"""Seconds that the moving average of the load looks back."""


class FetchThrottle:
    """Sets the delay of the next fetch by the load: the share of its time that the loop works.

    At low load there is no delay, and each record is delivered as soon as the broker has it. At
    high load, the fixed cost of a fetch and of a batch is paid too often, and records wait for the
    event loop. It is better then that they wait at the broker, and come in fewer, larger batches:
    both the load and the p99 from produce to decision fall.

    The load is measured in time on a core. A loop that gets less than `THROTTLED_FROM_LOAD` of a
    core, because of a limit or of other processes, is never throttled.
    """

    def __init__(
        self,
        max_delay: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        worked: Callable[[], float] = time.thread_time,
    ) -> None:
        """`max_delay` is in seconds; `worked` returns the CPU seconds of this thread."""
        self._max_delay = max_delay
        self._clock = clock
        self._worked = worked
        self._sampled = clock(), worked()
        self._load = 0.0  # moving average

    def delay(self) -> float:
        """Return the seconds to wait before a fetch; call it in the event loop, before each one."""
        (began, worked_before), (now, worked) = self._sampled, (self._clock(), self._worked())
        if now - began >= MIN_SAMPLE_SECONDS:
            weight = min(1.0, (now - began) / AVERAGING_SECONDS)
            self._load += weight * ((worked - worked_before) / (now - began) - self._load)
            self._sampled = now, worked
        above = self._load - THROTTLED_FROM_LOAD
        share = above / (FULL_DELAY_FROM_LOAD - THROTTLED_FROM_LOAD)
        return self._max_delay * min(1.0, max(0.0, share))


def throttled(
    fetch: Callable[..., Awaitable[bool]], throttle: FetchThrottle
) -> Callable[..., Awaitable[bool]]:
    """Return a fetch that waits for the throttle's delay before it is sent.

    The broker could hold fetches back as well (`fetch.min.bytes`). It would then need a short
    maximal wait, and answer that often when it has no records.
    """

    async def throttled_fetch(*args: Any) -> bool:
        if delay := throttle.delay():
            await asyncio.sleep(delay)
        return await fetch(*args)

    return throttled_fetch
