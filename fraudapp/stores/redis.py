"""The latest decisions, in Redis: the quickest place to ask, forgotten after a while."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from fraudapp.stores.base import Batch, decode, unavailable
from models.records import Decision

FAILURES = (RedisError, OSError, asyncio.TimeoutError)


class RedisStore:
    """Decisions by transaction id, each for `ttl` seconds."""

    name = "redis"

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
        with unavailable(self.name, *FAILURES):
            async with self._redis.pipeline(transaction=False) as pipe:
                for decision, encoded in zip(batch.decisions, batch.encoded, strict=True):
                    key = self._decision_key(decision.transaction_id)
                    pipe.set(key, encoded, ex=self._ttl, nx=True)
                await pipe.execute()

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
