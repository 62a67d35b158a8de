"""The stores of one worker."""

from __future__ import annotations

from collections.abc import Sequence

from fraudapp.settings import Settings
from fraudapp.stores.archive import archive_at
from fraudapp.stores.base import DecisionStore
from fraudapp.stores.postgres import PostgresStore
from fraudapp.stores.redis import RedisStore


class Stores:
    """Redis, Postgres and the archive, not yet opened: each is opened by its keeper."""

    def __init__(self, settings: Settings) -> None:
        self.redis = RedisStore(
            settings.redis_url.get_secret_value(),
            prefix=settings.app_id,
            ttl=settings.redis_ttl,
        )
        self.postgres = PostgresStore(
            settings.postgres_url.get_secret_value(), pool_size=settings.postgres_pool
        )
        self.archive: DecisionStore = archive_at(settings)

    @property
    def each(self) -> Sequence[DecisionStore]:
        """The stores a decision is kept in."""
        return self.redis, self.postgres, self.archive
