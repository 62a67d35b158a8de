"""The migrations make what the models describe."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fraudapp.decisions.batch import Batch
from fraudapp.sinks.base import AccessDenied
from fraudapp.sinks.postgres.migrate import HEAD, alembic_config, migrate
from fraudapp.sinks.postgres.schema import Base
from fraudapp.sinks.postgres.sink import PostgresSink
from tests.support.decisions import decision


def _differences(connection: Connection) -> list[Any]:
    # Partitions are not of the models: they come and go by the day.
    options = {
        "include_name": lambda name, kind, _: kind != "table" or name in Base.metadata.tables
    }
    context = MigrationContext.configure(connection, opts=options)
    found: list[Any] = compare_metadata(context, Base.metadata)
    return found


@pytest.fixture
async def engine(postgres_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(postgres_url)
    yield engine
    await engine.dispose()


async def run(engine: AsyncEngine, *statements: str) -> None:
    async with engine.begin() as connection:
        for statement in statements:
            await connection.execute(text(statement))


async def test_migrated_tables_are_those_of_the_models(engine: AsyncEngine) -> None:
    await migrate(engine)
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []


NEWER = (
    "ALTER TABLE decisions ADD COLUMN shadow_score double precision",
    "CREATE TABLE reviews (transaction_id text PRIMARY KEY)",
    "UPDATE alembic_version SET version_num = '9999'",
)


def test_the_latest_revision_is_known_without_alembic() -> None:
    assert ScriptDirectory.from_config(alembic_config()).get_current_head() == HEAD


async def test_a_worker_goes_on_where_a_newer_one_has_migrated(
    engine: AsyncEngine, postgres_url: str
) -> None:
    before, after = PostgresSink(postgres_url), PostgresSink(postgres_url)
    await before.open()
    one, other, last = (decision(f"t{number}", offset=number) for number in range(3))
    await before.save(Batch([one]))
    await run(engine, *NEWER)
    await before.save(Batch([other]))  # which has been running all the time
    await after.open()  # as after a roll-back
    await after.save(Batch([last]))
    ids = [each.transaction_id for each in (one, other, last)]
    for sink in (before, after):
        assert await sink.find(ids) == {each.transaction_id: each for each in (one, other, last)}
        await sink.maintain(one.decided_at.date())
        await sink.close()


@pytest.mark.parametrize(
    "change",
    ["ALTER TABLE decisions RENAME COLUMN score TO raw_score", "DROP FUNCTION find_decisions"],
)
async def test_a_schema_that_lacks_something_is_told(
    engine: AsyncEngine, postgres_url: str, change: str
) -> None:
    await migrate(engine)
    await run(engine, *NEWER, change)
    sink = PostgresSink(postgres_url)
    with pytest.raises(AccessDenied, match="9999, which is newer than this version, and lacks"):
        await sink.open()
    await sink.close()


async def test_a_worker_of_the_version_before_goes_on_where_this_one_has_migrated(
    engine: AsyncEngine, postgres_url: str
) -> None:
    def migrate_to_before(connection: Connection) -> list[str]:
        command.upgrade(alembic_config(connection), "head-1")
        return [column["name"] for column in inspect(connection).get_columns("decisions")]

    async with engine.begin() as connection:
        columns = await connection.run_sync(migrate_to_before)
    sink = PostgresSink(postgres_url)
    await sink.open()
    await sink.save(Batch([decision("t")]))
    names = ", ".join(columns)
    values = names.replace("transaction_id", "'of the version before'")
    await run(engine, f"INSERT INTO decisions ({names}) SELECT {values} FROM decisions")
    assert (await sink.find(["of the version before"])).keys() == {"of the version before"}
    await sink.close()
