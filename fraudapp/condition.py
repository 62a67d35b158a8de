"""A condition variable for one event loop, without the lock of `asyncio.Condition`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Condition:
    """Wakes the tasks that wait for a predicate whenever its state may have changed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Let every waiting task check its predicate again."""
        self._event.set()

    async def wait_for(self, predicate: Callable[[], bool]) -> None:
        """Return once `predicate` is true; if it already is, without yielding to other tasks."""
        while not predicate():
            self._event.clear()
            await self._event.wait()
