"""The Postgres sink: every decision until its retention ends, one for each transaction id."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import date, datetime
from typing import Any, Final, cast

import asyncpg
from sqlalchemy import Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.pool import NullPool

from fraudapp.decisions.batch import Batch
from fraudapp.sinks.base import unavailable
from fraudapp.sinks.postgres import day_partitions
from fraudapp.sinks.postgres.connection import (
    FAILURES,
    LONG_STATEMENT_TIMEOUT,
    connections,
    raw_connection,
    refusal,
)
from fraudapp.sinks.postgres.migrate import migrate
from fraudapp.sinks.postgres.rows import Rows
from fraudapp.sinks.postgres.schema import DecisionRow
from models.records import Decision
from models.schema.schema import PAYSIM, Schema

_DIALECT: Final = postgresql.dialect()  # type: ignore[no-untyped-call]
# Errors of COPY after which INSERT ... ON CONFLICT is tried: a row is there already, or asyncpg
# cannot encode it in the column types that it remembers. INSERT takes such rows, or rejects them in
# a way that tells a poison row from a failure.
_RETRY_WITH_INSERT: Final = (
    asyncpg.UniqueViolationError,
    asyncpg.DataError,
    TypeError,
    ValueError,
    OverflowError,
)
_TABLE: Final = cast(Table, DecisionRow.__table__)
_COLUMNS: Final = list(_TABLE.columns.keys())
_ARRAYS: Final = ", ".join(
    f"${place}::{column.type.compile(dialect=_DIALECT)}[]"
    for place, column in enumerate(_TABLE.columns, start=1)
)
_INSERT: Final = f"""
    INSERT INTO decisions ({", ".join(_COLUMNS)})
    SELECT * FROM unnest({_ARRAYS})
    ON CONFLICT (transaction_id, decided_at) DO NOTHING
"""  # noqa: S608 - made of the model's own column names
# If there are several rows of an id, `find` returns the last one: the first decision.
_FIND: Final = "SELECT * FROM find_decisions($1) ORDER BY decided_at DESC"
# A worker that is cut off in the middle of a COPY holds the locks of its rows until Postgres
# notices, which takes two hours by default. In seconds.
_KEEPALIVES: Final = """
    SET LOCAL tcp_keepalives_idle = 10;
    SET LOCAL tcp_keepalives_interval = 5;
    SET LOCAL tcp_keepalives_count = 3
"""


class PostgresSink:
    """Keeps decisions in the table `decisions`.

    Opening it migrates the schema and makes partitions.
    """

    name = "postgres"
    max_batch = 2_000
    linger = 0.05

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 8,
        timeout: float = 10.0,
        connecting: Mapping[str, Any] | None = None,
        schema: Schema = PAYSIM,
    ) -> None:
        """`timeout` is in seconds, to connect, to get a connection, and for one statement.

        `connecting` are further arguments of asyncpg's connections; see `connection.tls`.
        """
        self._timeout = timeout
        self._rows = Rows(schema)
        connect_args = {"timeout": timeout, "command_timeout": timeout, **(connecting or {})}
        self._long = connections(
            url,
            {**connect_args, "command_timeout": LONG_STATEMENT_TIMEOUT},
            poolclass=NullPool,
        )
        self._engine = connections(
            url, connect_args, pool_size=pool_size, max_overflow=0, pool_timeout=timeout
        )

    async def open(self) -> None:
        """See `DecisionSink.open`; several workers may start at once."""
        with unavailable(self.name, *FAILURES, refusal=refusal):
            await migrate(self._long)
        await self.maintain((await self.clock()).date())

    async def clock(self) -> datetime:
        """Return the time (UTC) by the database's own clock; raises `SinkUnavailable`."""
        async with self._connection() as connection:
            now: datetime = await connection.fetchval("SELECT clock_timestamp()")
        return now

    async def maintain(self, today: date) -> None:
        """Make partitions for the coming days; raises `SinkUnavailable`.

        Called once a day at least, by any number of workers.
        """
        with unavailable(self.name, *FAILURES, refusal=refusal):
            async with self._long.begin() as connection:
                await connection.run_sync(day_partitions.maintain, today)

    async def days(self) -> list[date]:
        """See `DatedSink.days`."""
        with unavailable(self.name, *FAILURES, refusal=refusal):
            async with self._long.begin() as connection:
                return await connection.run_sync(day_partitions.all_days)

    async def close(self) -> None:
        """See `DecisionSink.close`."""
        await self._engine.dispose()

    async def ping(self) -> None:
        """See `DecisionSink.ping`."""
        async with self._connection() as connection:
            await connection.execute("SELECT 1")

    async def save(self, batch: Batch) -> None:
        """See `DecisionSink.save`."""
        if not batch.decisions:
            return
        rows = self._rows.to_rows(batch.decisions)
        async with self._connection() as connection:
            try:
                # COPY costs the least, here and in Postgres: less than INSERT with an array for
                # each column, and less than COPY into a temporary table.
                # asyncpg's own time limit does not cover the wait for a server that stops reading.
                await asyncio.wait_for(_copy(connection, rows), self._timeout)
            except _RETRY_WITH_INSERT:
                await connection.execute(_INSERT, *zip(*rows, strict=True))

    async def purge(self, before: date, *, dry_run: bool = False) -> int:
        """See `DecisionSink.purge`."""
        with unavailable(self.name, *FAILURES, refusal=refusal):
            async with self._long.begin() as connection:
                return await connection.run_sync(
                    lambda each: day_partitions.purge(each, before, dry_run=dry_run)
                )

    async def find(self, transaction_ids: Sequence[str]) -> dict[str, Decision]:
        """Return the decisions that there are for these ids, by id; raises `SinkUnavailable`."""
        async with self._connection() as connection:
            rows = await connection.fetch(_FIND, transaction_ids)
        return {row["transaction_id"]: self._rows.from_row(dict(row)) for row in rows}

    async def get(self, transaction_id: str) -> Decision | None:
        """Return the decision, or None if there is none; raises `SinkUnavailable`."""
        return (await self.find([transaction_id])).get(transaction_id)

    def _connection(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        return raw_connection(self._engine, self.name)


async def _copy(connection: asyncpg.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
    async with connection.transaction():
        await connection.execute(_KEEPALIVES)
        await connection.copy_records_to_table("decisions", records=rows, columns=_COLUMNS)
