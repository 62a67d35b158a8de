"""The latest decisions, in Redis: the quickest place to ask, forgotten after a while."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    NoPermissionError,
    RedisError,
    ResponseError,
)

from fraudapp.stores.base import Batch, decode, unavailable
from fraudapp.tls import causes, untrusted
from models.records import Decision

_AT_ONCE: Final = 1_000  # keys looked at in one round trip
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
    gather = 0.02

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        ttl: int,
        ca_file: Path | None = None,
        timeout: float = 2.0,
    ) -> None:
        """`ca_file` has the authorities trusted where the URL is `rediss://`."""
        tls: dict[str, Any] = {"ssl_ca_certs": str(ca_file)} if ca_file else {}
        self._prefix = prefix
        self._ttl = ttl
        # One retry: a connection that the server has closed while idle fails once.
        self._redis: Redis = Redis.from_url(
            url,
            socket_timeout=timeout,
            socket_connect_timeout=timeout,
            retry=Retry(NoBackoff(), 1),
            **tls,
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
        with unavailable(self.name, *FAILURES, refusal=_refusal):
            await self._redis.ping()

    async def save(self, batch: Batch) -> None:
        """See `DecisionStore.save`."""
        if not batch.decisions:
            return
        prefix = self._decision_key("").encode()
        keys = [prefix + key for key in batch.keys]
        with unavailable(self.name, *FAILURES, refusal=_refusal):
            await self._keep(keys, [self._ttl, *batch.encoded])

    async def get(self, transaction_id: str) -> Decision | None:
        """Return the decision, or None if there is none or it is too old; or `StoreUnavailable`."""
        with unavailable(self.name, *FAILURES, refusal=_refusal):
            encoded = await self._redis.get(self._decision_key(transaction_id))
        return None if encoded is None else decode(encoded)

    async def accept(self, transaction_ids: list[str]) -> None:
        """Note that these were accepted and wait for their decision; or `StoreUnavailable`."""
        with unavailable(self.name, *FAILURES, refusal=_refusal):
            async with self._redis.pipeline(transaction=False) as pipe:
                for transaction_id in transaction_ids:
                    pipe.set(self._accepted_key(transaction_id), b"", ex=self._ttl)
                await pipe.execute()

    async def is_accepted(self, transaction_id: str) -> bool:
        """Whether it was accepted of late; or `StoreUnavailable`."""
        with unavailable(self.name, *FAILURES, refusal=_refusal):
            return bool(await self._redis.exists(self._accepted_key(transaction_id)))

    async def purge(self, before: date, *, dry_run: bool = False) -> int:
        """See `DecisionStore.purge`."""
        count = 0
        with unavailable(self.name, *FAILURES, refusal=_refusal):
            pattern = self._decision_key("*")
            cursor = 0
            while True:
                cursor, keys = await self._redis.scan(cursor, match=pattern, count=_AT_ONCE)
                values = await self._redis.mget(keys) if keys else []
                old = [
                    key
                    for key, value in zip(keys, values, strict=True)
                    if value is not None and decode(value).decided_at.date() < before
                ]
                if old and not dry_run:
                    await self._redis.unlink(*old)
                count += len(old)
                if cursor == 0:
                    return count

    def _decision_key(self, transaction_id: str) -> str:
        return f"{self._prefix}:decision:{transaction_id}"

    def _accepted_key(self, transaction_id: str) -> str:
        return f"{self._prefix}:accepted:{transaction_id}"


def _refusal(exc: BaseException) -> str | None:
    if distrust := untrusted(exc):
        return (
            f"the certificate is not trusted ({distrust.verify_message}); name in "
            "FRAUD_REDIS_CA_FILE the file of the authority that issued it, and in FRAUD_REDIS_URL "
            "a host that it was issued for"
        )
    for each in causes(exc):
        if isinstance(each, AuthenticationError | NoPermissionError):
            return f"{each}; FRAUD_REDIS_URL must hold the right user and password"
        if isinstance(each, ResponseError) and "DB index" in str(each):
            return f"{each}; FRAUD_REDIS_URL must end with the number of a database there is"
    return None
