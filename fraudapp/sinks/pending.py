"""Transactions that were accepted over HTTP and wait for their decision, noted in Redis.

Any worker may be asked about a transaction, not only the one that has accepted it.
"""

from __future__ import annotations

import asyncio
from typing import Final

from fraudapp.operation import Operation
from fraudapp.sinks.base import SinkUnavailable
from fraudapp.sinks.redis import RedisSink

NOTE_TIMEOUT: Final = 0.1
"""Seconds that a caller waits for Redis to note a transaction: many times what it usually takes."""
MAX_UNANSWERED_NOTES: Final = 20
"""Notes without an answer from Redis, at most; while there are so many, no more are sent."""
LOOKUP_TIMEOUT: Final = 1.0
"""Seconds that Redis may take to tell whether a transaction is pending."""


class Pending:
    """Notes accepted transactions in Redis, for all workers; a Redis in trouble holds up nobody.

    A transaction without a note is known only to the worker that has accepted it.
    """

    def __init__(self, redis: RedisSink) -> None:
        self._redis = redis
        self._unanswered: set[asyncio.Task[None]] = set()
        self._noting = Operation(
            "noting pending transactions in redis, so that other workers know them"
        )

    async def note(self, ids: list[str]) -> None:
        """Note transactions as pending; gives up after `NOTE_TIMEOUT`, and raises nothing."""
        if len(self._unanswered) >= MAX_UNANSWERED_NOTES:
            return
        task = asyncio.create_task(self._note(ids))
        self._unanswered.add(task)
        task.add_done_callback(self._unanswered.discard)
        await asyncio.wait([task], timeout=NOTE_TIMEOUT)

    async def _note(self, ids: list[str]) -> None:
        self._noting.began()
        try:
            await self._redis.accept(ids)
        except SinkUnavailable as exc:
            self._noting.failed(exc)
        else:
            self._noting.succeeded()

    async def knows(self, transaction_id: str) -> bool:
        """Whether a transaction has a note that has not expired; raises `SinkUnavailable`."""
        try:
            return await asyncio.wait_for(self._redis.is_accepted(transaction_id), LOOKUP_TIMEOUT)
        except asyncio.TimeoutError as exc:
            raise SinkUnavailable("redis: no answer in time") from exc
