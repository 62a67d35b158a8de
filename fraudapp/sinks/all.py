"""The stores of one worker."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from fraudapp.settings import Settings
from fraudapp.sinks.archive.archive import Archive, archive_at
from fraudapp.sinks.base import AccessRefused, DecisionStore, StoreUnavailable
from fraudapp.sinks.postgres.connection import tls
from fraudapp.sinks.postgres.sink import PostgresStore
from fraudapp.sinks.redis import RedisStore


class Stores:
    """Redis, Postgres and the archive, not yet opened: each is opened by its keeper."""

    def __init__(self, settings: Settings) -> None:
        self.redis = RedisStore(
            settings.redis_url.get_secret_value(),
            prefix=settings.app_id,
            ttl=settings.redis_ttl,
            ca_file=settings.redis_ca_file,
        )
        self.postgres = PostgresStore(
            settings.postgres_url.get_secret_value(),
            pool_size=settings.postgres_pool,
            connecting=tls(settings),
        )
        self.archive: Archive = archive_at(settings)

    @property
    def each(self) -> Sequence[DecisionStore]:
        """The stores a decision is kept in."""
        return self.redis, self.postgres, self.archive

    async def check_access(self) -> None:
        """Raise `AccessRefused` if one of them refuses us; one that is down may be so."""
        pings = (store.ping() for store in self.each)
        for failure in await asyncio.gather(*pings, return_exceptions=True):
            if isinstance(failure, AccessRefused) or (
                isinstance(failure, BaseException) and not isinstance(failure, StoreUnavailable)
            ):
                raise failure
