"""The sinks of the contenders that save one event at a time, awaiting each sink in turn."""

from __future__ import annotations

from typing import Any, Final

import asyncpg
from redis.asyncio import Redis

from fraudapp.decisions.batch import Batch
from fraudapp.settings import Settings
from fraudapp.sinks.postgres.rows import Rows
from models.records import Decision
from tests.benchmarks.peers.bulk import STORING, Bulk
from tests.benchmarks.peers.deciding import encode

OBJECT_LINES: Final = 500
"""Lines of an object on S3. One object for each event would be slower still, and nobody does it."""

_ROW: Final = ", ".join(f"${number}" for number in range(1, 24))
INSERT: Final = f"INSERT INTO decisions VALUES ({_ROW}) ON CONFLICT DO NOTHING"


class Single:
    """One SET, one INSERT, one line of an object for each decision."""

    def __init__(self, bulk: Bulk, settings: Settings) -> None:
        self._bulk = bulk
        self._settings = settings
        self._rows = Rows(settings.transaction_schema)
        self._redis = Redis.from_url(settings.redis_url.get_secret_value())
        self._postgres: Any = None
        self._object: list[Decision] = []

    async def open(self) -> None:
        """Connect."""
        await self._bulk.open()
        url = self._settings.postgres_url.get_secret_value().replace("+asyncpg", "")
        self._postgres = await asyncpg.create_pool(url, min_size=1, max_size=2)

    async def save(self, decision: Decision) -> None:
        """Keep one decision everywhere."""
        if STORING:
            key = f"{self._settings.app_id}:decision:{decision.transaction_id}"
            await self._redis.set(key, encode(decision), ex=self._settings.redis_ttl)
            await self._postgres.execute(INSERT, *self._rows.to_rows([decision])[0])
            self._object.append(decision)
            if len(self._object) >= OBJECT_LINES:
                await self._bulk.sinks.archive.save(Batch(self._object))
                self._object = []
        self._bulk.progress.add(1)
