"""The history's partitions by day: none is missing, none stays too long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone

import pytest
from alembic import command
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from fraudapp.decisions.batch import Batch
from fraudapp.sinks.postgres.day_partitions import DAYS_AHEAD, DEFAULT_PARTITION, MAX_NEW_PARTITIONS
from fraudapp.sinks.postgres.migrate import alembic_config
from fraudapp.sinks.postgres.rows import Rows
from fraudapp.sinks.postgres.schema import DecisionRow
from fraudapp.sinks.postgres.sink import PostgresSink
from models.records import Decision
from models.schema.schema import PAYSIM
from tests.support.decisions import decision

NOON = datetime(2026, 3, 4, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)
ALL_COLUMNS = DecisionRow.__table__.columns.keys()
COLUMNS = ALL_COLUMNS[: ALL_COLUMNS.index("transaction")]
"""Those of every revision; the last two are empty for PaySim's transactions."""


@pytest.fixture
async def engine(postgres_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_async_engine(postgres_url)
    yield engine
    await engine.dispose()


@pytest.fixture
async def sink(postgres_url: str) -> AsyncIterator[PostgresSink]:
    sink = PostgresSink(postgres_url)
    await sink.open()
    yield sink
    await sink.close()


def on_days(*days: int, moment: datetime = NOON) -> list[Decision]:
    """A decision on each of some days, counted from that of `moment`."""
    return [
        decision(f"t{number}", offset=number, decided_at=moment + day * DAY)
        for number, day in enumerate(days)
    ]


async def tables(engine: AsyncEngine) -> dict[str, int]:
    """Rows by partition."""
    query = "SELECT tableoid::regclass::text, count(*) FROM decisions GROUP BY 1"
    async with engine.connect() as connection:
        rows = await connection.execute(text(query))
        return {row[0]: row[1] for row in rows}


def move(connection: Connection, up: bool, revision: str) -> None:
    go = command.upgrade if up else command.downgrade
    go(alembic_config(connection), revision)


def insert(connection: Connection, decisions: list[Decision]) -> None:
    names = ", ".join(COLUMNS)
    values = ", ".join(f":{name}" for name in COLUMNS).replace(":reasons", "(:reasons)::jsonb")
    rows = [dict(zip(COLUMNS, row, strict=False)) for row in Rows(PAYSIM).to_rows(decisions)]
    connection.execute(text(f"INSERT INTO decisions ({names}) VALUES ({values})"), rows)


async def test_rows_from_before_the_partitions_are_kept(
    engine: AsyncEngine, postgres_url: str
) -> None:
    before = [
        decision(f"t{number}", offset=number, decided_at=NOON + number % 3 * DAY)
        for number in range(300)
    ]
    async with engine.begin() as connection:
        await connection.run_sync(move, True, "0001")
        await connection.run_sync(insert, before)
    sink = PostgresSink(postgres_url)
    await sink.open()
    assert await sink.find([each.transaction_id for each in before]) == {
        each.transaction_id: each for each in before
    }
    counts = {f"decisions_2026030{day}": 100 for day in (4, 5, 6)}
    assert await tables(engine) == counts
    await sink.save(Batch(before[:150]))  # as after a restart, from the log
    assert await tables(engine) == counts
    await sink.close()


async def test_the_migration_can_be_undone_and_done_again(
    engine: AsyncEngine, sink: PostgresSink
) -> None:
    kept = on_days(0, 1, 40)
    await sink.save(Batch(kept))
    async with engine.begin() as connection:
        await connection.run_sync(move, False, "0001")
    async with engine.begin() as connection:
        await connection.run_sync(move, True, "head")
    assert len(await sink.find([each.transaction_id for each in kept])) == 3


async def test_partitions_are_made_ahead_and_late_rows_move_into_their_own(
    engine: AsyncEngine, sink: PostgresSink
) -> None:
    await sink.maintain(NOON.date())
    await sink.save(Batch(on_days(0, DAYS_AHEAD, DAYS_AHEAD + 1, -9, -9)))
    assert await tables(engine) == {
        "decisions_20260304": 1,
        "decisions_20260311": 1,
        DEFAULT_PARTITION: 3,
    }
    await sink.maintain(NOON.date())
    assert await tables(engine) == {
        "decisions_20260223": 2,
        "decisions_20260304": 1,
        "decisions_20260311": 1,
        "decisions_20260312": 1,
    }


@pytest.mark.parametrize("rounds", [1, 3])
async def test_whatever_clocks_have_stamped_partitions_are_made_and_all_is_found(
    engine: AsyncEngine, sink: PostgresSink, rounds: int
) -> None:
    ends = [moment.replace(tzinfo=timezone.utc) for moment in (datetime.min, datetime.max)]
    inner = [ends[0] + DAY, datetime(999, 1, 1, tzinfo=timezone.utc), ends[1] - DAY]
    wild = [
        decision(f"wild-{number}", decided_at=moment)
        for number, moment in enumerate([*ends, *inner, NOON + 365 * DAY])
    ]
    many = [
        decision(f"many-{n}", decided_at=NOON - n * DAY) for n in range(MAX_NEW_PARTITIONS + 20)
    ]
    await sink.save(Batch([*wild, *many]))
    for _ in range(rounds):
        await sink.maintain(NOON.date())
    decisions = {each.transaction_id: each for each in [*wild, *many]}
    assert await sink.find(list(decisions)) == decisions
    rows = await tables(engine)
    assert sum(rows.values()) == len(decisions)
    assert rows["decisions_20260304"] == 1
    assert "decisions_20270304" not in rows
    if rounds == 3:
        assert {"decisions_20251106", "decisions_00010102", "decisions_09990101"} <= set(rows)
    days = await sink.days()
    assert days == sorted(set(days))
    assert {each.decided_at.date() for each in decisions.values()} <= set(days)
    assert await sink.purge(datetime(1000, 1, 1).date()) == 3
    await sink.maintain(NOON.date())
    assert len(await sink.find(list(decisions))) == len(decisions) - 3


async def test_a_partition_that_somebody_has_made_by_hand_is_left_alone(
    engine: AsyncEngine, sink: PostgresSink
) -> None:
    async with engine.begin() as connection:
        await connection.execute(
            text(
                "CREATE TABLE decisions_of_old PARTITION OF decisions "
                "FOR VALUES FROM ('1990-01-01Z') TO ('1991-01-01Z')"
            )
        )
    old = decision("old", decided_at=datetime(1990, 5, 5, tzinfo=timezone.utc))
    await sink.save(Batch([old]))
    await sink.maintain(NOON.date())
    await sink.purge(NOON.date())
    assert await tables(engine) == {"decisions_of_old": 1}


async def test_nothing_is_lost_while_partitions_are_made_under_load(
    engine: AsyncEngine, postgres_url: str
) -> None:
    sinks = [PostgresSink(postgres_url) for _ in range(4)]
    await asyncio.gather(*(sink.open() for sink in sinks))

    async def save(sink: PostgresSink, number: int) -> None:
        for day in range(40):
            ids = range(20)
            await sink.save(
                Batch([decision(f"{number}-{day}-{n}", decided_at=NOON + day * DAY) for n in ids])
            )

    async def maintain(sink: PostgresSink) -> None:
        for day in range(0, 40, 4):
            await sink.maintain((NOON + day * DAY).date())

    await asyncio.gather(
        *(save(sink, number) for number, sink in enumerate(sinks)),
        *(maintain(sink) for sink in sinks[:2]),
    )
    await sinks[0].maintain(NOON.date())
    counts = await tables(engine)
    assert DEFAULT_PARTITION not in counts
    assert list(counts.values()) == [80] * 40
    await asyncio.gather(*(sink.close() for sink in sinks))


async def test_looking_for_an_id_uses_the_index_of_every_partition(
    engine: AsyncEngine, sink: PostgresSink
) -> None:
    await sink.maintain(NOON.date())
    async with engine.begin() as connection:
        await connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = await connection.execute(
            text("EXPLAIN SELECT * FROM decisions WHERE transaction_id = ANY(ARRAY['t1'])")
        )
        lines = [line for (line,) in plan]
    assert not [line for line in lines if "Seq Scan" in line]
    assert sum("Index Cond: (transaction_id" in line for line in lines) > DAYS_AHEAD
