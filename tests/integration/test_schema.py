"""The migrations make what the models describe."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from fraudapp.stores.migrate import migrate
from fraudapp.stores.schema import Base


def _differences(connection: Connection) -> list[Any]:
    # Partitions are not of the models: they come and go by the day.
    options = {
        "include_name": lambda name, kind, _: kind != "table" or name in Base.metadata.tables
    }
    context = MigrationContext.configure(connection, opts=options)
    found: list[Any] = compare_metadata(context, Base.metadata)
    return found


async def test_migrated_tables_are_those_of_the_models(postgres_url: str) -> None:
    engine = create_async_engine(postgres_url)
    await migrate(engine)
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
    await engine.dispose()
