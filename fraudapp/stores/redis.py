"""The latest decisions, in Redis: the quickest place to ask, forgotten after a while."""

from __future__ import annotations

import asyncio
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from fraudapp.stores.base import Batch, decode, unavailable
from models.records import Decision

FAILURES = (RedisError, OSError, asyncio.TimeoutError)
# One command for a whole batch: a pipeline costs the client three times as much for packing and
# reading answers, and MSET knows no time to live.
_KEEP: Final = """
for place, key in ipairs(KEYS) do
    redis.call('SET', key, ARGV[place + 1], 'EX', ARGV[1], 'NX')
end
"""


class RedisStore:
    """Decisions by transaction id, each for `ttl` seconds."""

    name = "redis"
    at_once = 1_000
    gather = 0.0

    def __init__(self, url: str, *, prefix: str, ttl: int, timeout: float = 2.0) -> None:
        self._prefix = prefix
        self._ttl = ttl
        # One retry: a connection that the server has closed while idle fails once.
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1),
        )
        self._keep = self._redis.register_script(_KEEP)

    async def open(self) -> None:
        """See `DecisionStore.open`."""
        await self.ping()

    async def close(self) -> None:
        """See `DecisionStore.close`."""
        await self._redis.aclose()

    async def ping(self) -> None:
        """See `DecisionStore.ping`."""
        with unavailable(self.name, *FAILURES):
            await self._redis.ping()

    async def save(self, batch: Batch) -> None:
        """See `DecisionStore.save`."""
        if not batch.decisions:
            return
        prefix = self._decision_key("").encode()
        keys = [prefix + key for key in batch.keys]
        with unavailable(self.name, *FAILURES):
            await self._keep(keys, [self._ttl, *batch.encoded])

    async def get(self, transaction_id: str) -> Decision | None:
        """Return the decision, or None if there is none or it is too old; or `StoreUnavailable`."""
        with unavailable(self.name, *FAILURES):
            encoded = await self._redis.get(self._decision_key(transaction_id))
        return None if encoded is None else decode(encoded)

    async def accept(self, transaction_ids: list[str]) -> None:
        """Note that these were accepted and wait for their decision; or `StoreUnavailable`."""
        with unavailable(self.name, *FAILURES):
            async with self._redis.pipeline(transaction=False) as pipe:
                for transaction_id in transaction_ids:
                    pipe.set(self._accepted_key(transaction_id), b"", ex=self._ttl)
                await pipe.execute()

    async def is_accepted(self, transaction_id: str) -> bool:
        """Whether it was accepted of late; or `StoreUnavailable`."""
        with unavailable(self.name, *FAILURES):
            return bool(await self._redis.exists(self._accepted_key(transaction_id)))

    def _decision_key(self, transaction_id: str) -> str:
        return f"{self._prefix}:decision:{transaction_id}"

    def _accepted_key(self, transaction_id: str) -> str:
        return f"{self._prefix}:accepted:{transaction_id}"
