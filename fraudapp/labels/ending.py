"""Ends tasks that wait for brokers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

AGAIN_SECONDS: Final = 0.5
"""Seconds after which a task that goes on is cancelled again."""


async def end(tasks: Iterable[asyncio.Future[Any]]) -> None:
    """Cancel tasks, and return once all have ended, however they did.

    Before Python 3.12, `asyncio.wait_for` passes over a cancellation that comes just when what it
    waits for is done.
    """
    pending = set(tasks)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_SECONDS)
