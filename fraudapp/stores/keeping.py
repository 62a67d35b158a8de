"""All stores as one: saved to at once, each retried on its own until it has kept the batch."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from contextlib import AsyncExitStack

import stamina

from fraudapp.settings import Settings
from fraudapp.stores.archive import archive_at
from fraudapp.stores.base import Batch, DecisionStore, StoreUnavailable
from fraudapp.stores.postgres import PostgresStore
from fraudapp.stores.redis import RedisStore
from models.records import Decision

log = logging.getLogger(__name__)


class Stores:
    """Redis, Postgres and the archive of one worker."""

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
        self._start_timeout = settings.start_timeout
        self._stack = AsyncExitStack()

    @property
    def each(self) -> Sequence[DecisionStore]:
        """The stores a decision is kept in."""
        return self.redis, self.postgres, self.archive

    async def open(self) -> None:
        """Open all, or raise `StoreUnavailable` for the first that does not answer in time."""
        await asyncio.gather(*(self._open(store) for store in self.each))

    async def close(self) -> None:
        """Close all that were opened."""
        await self._stack.aclose()

    async def save(self, batch: Batch) -> None:
        """Return once every store has kept the batch, however long one of them is down.

        Cancelling it leaves each store with all or part of the batch, which may be saved again.
        """
        await asyncio.gather(*(self._save(store, batch) for store in self.each))

    async def decided(self, transaction_ids: Sequence[str]) -> dict[str, Decision]:
        """Return the decisions that exist for these ids, waiting for Postgres if it is down."""
        async for attempt in _until_it_answers():
            with attempt:
                return await self.postgres.find(transaction_ids)
        raise AssertionError("retries without limit ended")

    async def _open(self, store: DecisionStore) -> None:
        async for attempt in stamina.retry_context(
            on=StoreUnavailable, attempts=None, timeout=self._start_timeout, wait_max=2.0
        ):
            with attempt:
                await store.open()
                self._stack.push_async_callback(store.close)

    async def _save(self, store: DecisionStore, batch: Batch) -> None:
        async for attempt in _until_it_answers():
            with attempt:
                await store.save(batch)


def _until_it_answers() -> stamina._core._RetryContextIterator:
    return stamina.retry_context(
        on=StoreUnavailable, attempts=None, timeout=None, wait_initial=0.1, wait_max=5.0
    )
