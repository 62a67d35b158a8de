"""What the labels on each transaction come to, from their topic or from Postgres."""

from __future__ import annotations

from typing import Any, Final, cast

import asyncpg

from fraudapp.settings import Settings
from fraudapp.sinks.base import unavailable
from fraudapp.sinks.postgres.connection import FAILURES, engine, refusal

_SELECT: Final = "SELECT transaction_id, label FROM labels WHERE effective"


async def told(settings: Settings, source: str) -> dict[str, int]:
    """Return the label that counts by id; raises `KafkaError` or `SinkUnavailable`."""
    if source != "postgres":
        from fraudapp.training import labels  # with what trains, which is slow to import

        return {id_: each.label for id_, each in (await labels.told(settings)).items()}
    database = engine(settings)
    with unavailable("postgres", *FAILURES, refusal=refusal):
        try:
            async with database.connect() as connection:
                raw = await connection.get_raw_connection()
                driver = cast(asyncpg.Connection, raw.driver_connection)
                rows: Any = await driver.fetch(_SELECT)
        finally:
            await database.dispose()
    return {row["transaction_id"]: row["label"] for row in rows}
