"""The Redis sink: the latest decisions by transaction id, for quick look-ups over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date, datetime
from pathlib import Path
from typing import Any, Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, ResponseError

from fraudapp.config.tls import causes, untrusted
from fraudapp.decisions.batch import Batch
from fraudapp.sinks.base import unavailable
from fraudapp.sinks.redis_nodes import FAILURES, Client, connect, each, outdated
from models.records import Decision
from models.schema.schema import PAYSIM, Schema

_SCANNED_KEYS: Final = 1_000  # that a purge looks at in one round trip
# One command for a whole batch. A pipeline costs the client much more, for packing the commands and
# reading the answers, and MSET knows no time to live. A cluster takes no script whose keys are in
# several slots.
_SAVE_SCRIPT: Final = """
for place, key in ipairs(KEYS) do
    redis.call('SET', key, ARGV[place + 1], 'EX', ARGV[1], 'NX')
end
"""


class RedisSink:
    """Keeps decisions by transaction id, each for `ttl` seconds."""

    name = "redis"
    max_batch = 1_000
    linger = 0.02

    def __init__(
        self,
        url: str,
        *,
        prefix: str,
        ttl: int,
        ca_file: Path | None = None,
        timeout: float = 2.0,
        schema: Schema = PAYSIM,
    ) -> None:
        """`ca_file` has the authorities that are trusted where the URL is `rediss://`.

        `timeout` is in seconds, for each answer of the server.
        """
        self._url = url
        self._decode = schema.decode
        self._tls: dict[str, Any] = {"ssl_ca_certs": str(ca_file)} if ca_file else {}
        self._timeout = timeout
        self._prefix = prefix
        self._ttl = ttl
        self._redis: Client | None = None
        self._connecting = asyncio.Lock()

    async def open(self) -> None:
        """See `DecisionSink.open`."""
        await self.ping()

    async def close(self) -> None:
        """See `DecisionSink.close`."""
        if self._redis:
            await self._redis.aclose()

    async def ping(self) -> None:
        """See `DecisionSink.ping`."""
        async with self._client() as redis:
            await redis.ping()

    async def save(self, batch: Batch) -> None:
        """See `DecisionSink.save`."""
        if not batch.decisions:
            return
        prefix = self._decision_key("").encode()
        keys = [prefix + key for key in batch.keys]
        async with self._client() as redis:
            if isinstance(redis, Redis):
                await redis.register_script(_SAVE_SCRIPT)(keys, [self._ttl, *batch.encoded])
            else:
                pairs = zip(keys, batch.encoded, strict=True)
                await each(redis, [("SET", *pair, "EX", self._ttl, "NX") for pair in pairs])

    async def get(self, transaction_id: str) -> Decision | None:
        """Return a decision; None if there is none, or it has expired. Raises `SinkUnavailable`."""
        async with self._client() as redis:
            encoded = await redis.get(self._decision_key(transaction_id))
        return None if encoded is None else self._decode(encoded)

    async def accept(self, transaction_ids: list[str]) -> None:
        """Note transactions that were accepted and are pending; raises `SinkUnavailable`."""
        keys = map(self._accepted_key, transaction_ids)
        async with self._client() as redis:
            await each(redis, [("SET", key, b"", "EX", self._ttl) for key in keys])

    async def is_accepted(self, transaction_id: str) -> bool:
        """Whether a transaction has a note that has not expired; raises `SinkUnavailable`."""
        async with self._client() as redis:
            return bool(await redis.exists(self._accepted_key(transaction_id)))

    async def purge(self, before: date, *, dry_run: bool = False) -> int:
        """See `DecisionSink.purge`."""
        count = 0
        async with self._client() as redis:
            keys: list[bytes] = []
            async for key in redis.scan_iter(self._decision_key("*"), count=_SCANNED_KEYS):
                keys.append(key)
                if len(keys) == _SCANNED_KEYS:
                    count += await _purge(redis, keys, before, dry_run)
                    keys = []
            return count + await _purge(redis, keys, before, dry_run)

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Client]:
        with unavailable(self.name, *FAILURES, refusal=_refusal):
            if self._redis is None:
                async with self._connecting:
                    if self._redis is None:
                        self._redis = await connect(self._url, self._timeout, self._tls)
            redis = self._redis
            try:
                yield redis
            except AttributeError as exc:
                if isinstance(redis, Redis):
                    raise
                # A failed call to a cluster closes the connections that other calls are using.
                raise ConnectionError("the connection was closed by another call") from exc
            except BaseException as exc:
                if self._redis is redis and outdated(exc):
                    self._redis = None
                    await redis.aclose()
                elif not isinstance(redis, Redis):
                    # The next call asks anew which node has which slots, and no answer is taken
                    # for that of another call.
                    await redis.aclose()
                raise

    def _decision_key(self, transaction_id: str) -> str:
        return f"{self._prefix}:decision:{transaction_id}"

    def _accepted_key(self, transaction_id: str) -> str:
        return f"{self._prefix}:accepted:{transaction_id}"


class _Decided(msgspec.Struct):
    """The part of a decision that tells its day."""

    decided_at: datetime


_decided: Final = msgspec.json.Decoder(_Decided).decode


async def _purge(redis: Client, keys: list[bytes], before: date, dry_run: bool) -> int:
    values = await each(redis, [("GET", key) for key in keys])
    old = [
        key
        for key, value in zip(keys, values, strict=True)
        if value is not None and _decided(value).decided_at.date() < before
    ]
    if not dry_run:
        await each(redis, [("UNLINK", key) for key in old])
    return len(old)


def _refusal(exc: BaseException) -> str | None:
    if distrust := untrusted(exc):
        return (
            f"the certificate is not trusted ({distrust.verify_message}); name in "
            "FRAUD_REDIS_CA_FILE the file of the authority that issued it, and in FRAUD_REDIS_URL "
            "a host that it was issued for"
        )
    for cause in causes(exc):
        if isinstance(cause, AuthenticationError | NoPermissionError):
            return f"{cause}; FRAUD_REDIS_URL must hold the right user and password"
        if isinstance(cause, ResponseError) and "DB index" in str(cause):
            return f"{cause}; FRAUD_REDIS_URL must end with the number of a database there is"
        if isinstance(cause, ResponseError) and "SELECT is not allowed in cluster" in str(cause):
            return f"{cause}; FRAUD_REDIS_URL must end with /0: a cluster has one database"
    return None
