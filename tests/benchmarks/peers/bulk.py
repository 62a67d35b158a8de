"""The stores of the contenders that save in bulk, as fast as their clients allow.

Redis by MSET, without an expiry (the worker's own entries have one, which costs more); Postgres by
one `INSERT ... SELECT unnest` over asyncpg; S3 by one object a batch; all three at the same time.
"""

from __future__ import annotations

import asyncio
import os
import time
import uuid
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import asyncpg
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from redis.asyncio import Redis

from fraudapp.settings import Settings
from fraudapp.stores.schema import DecisionRow
from models.records import Decision
from tests.benchmarks.peers.deciding import encode

STORING: Final = os.environ.get("BENCH_STORES") != "0"

_COLUMNS: Final = [
    "text",
    "text",
    "float8",
    "text",
    "text",
    "text",
    "timestamptz",
    "text",
    "int4",
    "int8",
    "int4",
    "text",
    "float8",
    "text",
    "float8",
    "float8",
    "text",
    "float8",
    "float8",
    "int2",
    "int2",
]
_ARRAYS: Final = ", ".join(
    f"${number}::{kind}[]{'::jsonb[]' * (number == 4)}"
    for number, kind in enumerate(_COLUMNS, start=1)
)
INSERT: Final = (
    f"INSERT INTO decisions ({', '.join(DecisionRow.__table__.columns.keys())}) "
    f"SELECT * FROM unnest({_ARRAYS}) ON CONFLICT (transaction_id) DO NOTHING"
)


class Bulk:
    """The three stores, or none of them."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = AsyncExitStack()
        self.progress = Progress()

    async def open(self) -> None:
        """Connect."""
        settings = self._settings
        url = settings.postgres_url.get_secret_value().replace("+asyncpg", "")
        pool = asyncpg.create_pool(url, min_size=1, max_size=8)
        self.postgres = await self._stack.enter_async_context(pool)
        self.redis = Redis.from_url(settings.redis_url.get_secret_value())
        key, secret = settings.s3_access_key_id, settings.s3_secret_access_key
        assert key is not None
        assert secret is not None
        self.s3: Any = await self._stack.enter_async_context(
            get_session().create_client(
                "s3",
                endpoint_url=settings.s3_endpoint_url,
                region_name=settings.s3_region,
                aws_access_key_id=key.get_secret_value(),
                aws_secret_access_key=secret.get_secret_value(),
                config=AioConfig(s3={"addressing_style": "path"}),
            )
        )

    async def save(self, decisions: Sequence[Decision]) -> None:
        """Keep a batch everywhere."""
        if STORING and decisions:
            encoded = [encode(each) for each in decisions]
            await asyncio.gather(
                self.to_redis(decisions, encoded),
                self.to_postgres(decisions),
                self.to_s3(encoded),
            )
        self.progress.add(len(decisions))

    async def to_redis(self, decisions: Sequence[Decision], encoded: Sequence[bytes]) -> None:
        """Keep a batch in Redis."""
        prefix = f"{self._settings.app_id}:decision:"
        keys = [prefix + each.transaction_id for each in decisions]
        await self.redis.mset(dict(zip(keys, encoded, strict=True)))

    async def to_postgres(self, decisions: Sequence[Decision]) -> None:
        """Keep a batch in Postgres."""
        await self.postgres.execute(INSERT, *columns(decisions))

    async def to_s3(self, encoded: Sequence[bytes]) -> None:
        """Keep a batch on S3."""
        await self.s3.put_object(
            Bucket=urlsplit(self._settings.archive).netloc,
            Key=f"decisions/{uuid.uuid4()}.jsonl",
            Body=b"\n".join(encoded) + b"\n",
        )


class Progress:
    """Tells whoever measures, through a file, how many events are done; 50 times a second."""

    def __init__(self) -> None:
        self._path = Path(os.environ["BENCH_PROGRESS"])
        self._total = int(os.environ["BENCH_COUNT"])
        self._count = 0
        self._written = 0.0

    def add(self, count: int) -> None:
        """Count events as done."""
        self._count += count
        if self._count >= self._total or time.monotonic() - self._written > 0.02:
            draft = self._path.with_suffix(".draft")
            draft.write_text(str(self._count))
            draft.replace(self._path)
            self._written = time.monotonic()


def columns(decisions: Sequence[Decision]) -> list[list[Any]]:
    """Values of the history's columns, in their order."""
    moved = [each.transaction for each in decisions]
    return [
        [each.transaction_id for each in decisions],
        [each.decision.value for each in decisions],
        [each.score for each in decisions],
        [encode(each.reasons).decode() for each in decisions],
        [each.model_version for each in decisions],
        [each.policy_version for each in decisions],
        [each.decided_at for each in decisions],
        [each.topic for each in decisions],
        [each.partition for each in decisions],
        [each.offset for each in decisions],
        [each.step for each in moved],
        [each.type for each in moved],
        [each.amount for each in moved],
        [each.nameOrig for each in moved],
        [each.oldbalanceOrg for each in moved],
        [each.newbalanceOrig for each in moved],
        [each.nameDest for each in moved],
        [each.oldbalanceDest for each in moved],
        [each.newbalanceDest for each in moved],
        [each.isFraud for each in moved],
        [each.isFlaggedFraud for each in moved],
    ]
