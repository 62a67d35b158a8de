"""What was accepted over HTTP and waits for its decision, noted in Redis for all workers."""

from __future__ import annotations

import asyncio
from typing import Final

from fraudapp.operation import Operation
from fraudapp.sinks.base import SinkUnavailable
from fraudapp.sinks.redis import RedisSink

PATIENCE: Final = 0.1
"""Seconds that a caller waits for Redis to note what is pending; it takes one or two ms."""
UNANSWERED: Final = 20
"""Notes that Redis may owe an answer to, at most, before it is asked for no more."""
ANSWER: Final = 1.0
"""Seconds that Redis may take to tell whether something is pending."""


class Pending:
    """Notes in Redis, for all workers, what was accepted; nobody waits for one that is in trouble.

    What is not noted there, the worker knows that has accepted it.
    """

    def __init__(self, redis: RedisSink) -> None:
        self._redis = redis
        self._unanswered: set[asyncio.Task[None]] = set()
        self._noting = Operation(
            "noting in redis what is pending, which else this worker alone knows"
        )

    async def note(self, ids: list[str]) -> None:
        """Note them, or give up after a moment."""
        if len(self._unanswered) >= UNANSWERED:
            return
        task = asyncio.create_task(self._note(ids))
        self._unanswered.add(task)
        task.add_done_callback(self._unanswered.discard)
        await asyncio.wait([task], timeout=PATIENCE)

    async def _note(self, ids: list[str]) -> None:
        self._noting.began()
        try:
            await self._redis.accept(ids)
        except SinkUnavailable as exc:
            self._noting.failed(exc)
        else:
            self._noting.succeeded()

    async def knows(self, transaction_id: str) -> bool:
        """Whether it was noted of late; raises `SinkUnavailable`."""
        try:
            return await asyncio.wait_for(self._redis.is_accepted(transaction_id), ANSWER)
        except asyncio.TimeoutError as exc:
            raise SinkUnavailable("redis: no answer in time") from exc
