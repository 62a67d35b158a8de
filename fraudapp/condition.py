"""Waiting until something holds of state that others in this event loop change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Changes:
    """Wakes those who wait for a condition, whenever what it is about may have changed."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Let everybody who waits look again."""
        self._event.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Return once `condition` is true; without giving way if it is already."""
        while not condition():
            self._event.clear()
            await self._event.wait()
