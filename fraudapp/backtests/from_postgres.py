"""Decisions of a period, from Postgres."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any, Final, cast

import asyncpg
import msgspec

from fraudapp.backtests.period import Period
from fraudapp.settings import Settings
from fraudapp.sinks.base import SinkUnavailable, unavailable
from fraudapp.sinks.postgres.connection import FAILURES, engine, refusal
from fraudapp.sinks.postgres.rows import Rows
from models.records import Decision

_ROWS: Final = 2_000
# Of several rows under an id the earliest is the decision; in this order it comes first.
_SELECT: Final = """
    SELECT * FROM decisions WHERE decided_at >= $1 AND decided_at < $2
    ORDER BY decided_at, transaction_id
"""


async def decisions(settings: Settings, period: Period) -> AsyncIterator[list[Decision]]:
    """Yield what a period may hold from one snapshot, by time; raises `SinkUnavailable`."""
    rows, database = Rows(settings.transaction_schema), engine(settings)
    with unavailable("postgres", *FAILURES, refusal=refusal):
        try:
            async with database.connect() as connection:
                raw = await connection.get_raw_connection()
                driver = cast(asyncpg.Connection, raw.driver_connection)
                async with driver.transaction(isolation="repeatable_read", readonly=True):
                    cursor: Any = await driver.cursor(_SELECT, period.read_since, period.until)
                    while fetched := await cursor.fetch(_ROWS):
                        yield [_decision(rows, each) for each in fetched]
        finally:
            await database.dispose()


def _decision(rows: Rows, row: Mapping[str, Any]) -> Decision:
    try:
        return rows.from_row(row)
    except msgspec.ValidationError as exc:
        raise SinkUnavailable(
            f"postgres: the row of {row['transaction_id']} is no decision of a worker ({exc})"
        ) from exc
