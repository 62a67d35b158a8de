"""The Postgres sink behind PgBouncer, which gives each transaction another connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from fraudapp.decisions.batch import Batch
from fraudapp.reports import from_postgres
from fraudapp.reports.daily import DailyReport
from fraudapp.settings import load
from fraudapp.sinks.base import AccessDenied, DecisionRejected, SinkUnavailable
from fraudapp.sinks.poison_rows import save_isolating
from fraudapp.sinks.postgres.connection import engine
from fraudapp.sinks.postgres.sink import PostgresSink
from models.records import Decision
from tests.servers.pgbouncer import PgBouncer
from tests.support.decisions import decision
from tests.support.transactions import transaction

NOON = datetime(2026, 3, 4, 12, tzinfo=timezone.utc)
DAY = timedelta(days=1)
WORKERS = 6

modes = pytest.mark.parametrize("pgbouncer", ["transaction", "session"], indirect=True)


@pytest.fixture
async def sinks(pgbouncer: PgBouncer) -> AsyncIterator[list[PostgresSink]]:
    sinks = [PostgresSink(pgbouncer.url, pool_size=2) for _ in range(WORKERS)]
    yield sinks
    await asyncio.gather(*(each.close() for each in sinks))


@pytest.fixture
async def commands(pgbouncer: PgBouncer) -> AsyncIterator[AsyncEngine]:
    made = engine(load({"FRAUD_POSTGRES_URL": pgbouncer.url}))
    yield made
    await made.dispose()


@modes
async def test_all_that_workers_and_commands_do_works_through_it(
    sinks: list[PostgresSink], commands: AsyncEngine
) -> None:
    await asyncio.gather(*(sink.open() for sink in sinks))

    async def work(sink: PostgresSink, number: int) -> None:
        for day in range(20):
            batch = [
                decision(f"{number}-{day}-{n}", offset=n, decided_at=NOON + day * DAY)
                for n in range(20)
            ]
            await sink.save(Batch(batch))
            if day % 5 == 0:
                await sink.save(Batch(batch))  # again: not by COPY
                await sink.maintain((NOON + day * DAY).date())
            await sink.ping()
            ids = [each.transaction_id for each in batch]
            assert await sink.find(ids) == {each.transaction_id: each for each in batch}

    await asyncio.gather(*(work(sink, number) for number, sink in enumerate(sinks)))
    sink = sinks[0]
    await sink.maintain(NOON.date())
    assert abs(await sink.clock() - datetime.now(timezone.utc)) < timedelta(minutes=1)
    expected = {(NOON + day * DAY).date() for day in range(20)}
    assert expected <= set(await sink.days())
    await asyncio.gather(*(_report(commands, 20 * len(sinks)) for _ in range(4)))
    assert await sink.purge((NOON + DAY).date(), dry_run=True) == 20 * len(sinks)
    assert await sink.purge((NOON + DAY).date()) == 20 * len(sinks)
    assert await sink.get("0-0-1") is None
    assert await sink.get("0-1-1")


async def _report(commands: AsyncEngine, count: int) -> None:
    report, sample = await from_postgres.read(commands, NOON.date())
    assert report.total == count
    assert len(sample) == min(count, from_postgres.LATENCY_SAMPLE_SIZE)
    assert isinstance(await from_postgres.keep(commands, report, NOON), DailyReport)


async def test_what_is_refused_is_isolated_and_the_next_transaction_is_not_spoilt(
    sinks: list[PostgresSink],
) -> None:
    await sinks[0].open()
    refused: list[str] = []

    async def refuse(name: str, each: Decision, exc: DecisionRejected) -> None:
        refused.append(each.transaction_id)

    async def save(sink: PostgresSink, number: int) -> None:
        batch = [decision(f"{number}-{n}", offset=n) for n in range(20)]
        poison = transaction(f"{number}-3", nameOrig="no\x00text")
        batch[3] = decision(f"{number}-3", offset=3, transaction=poison)
        batch[7] = decision(f"{number}-7", offset=2**63)
        await save_isolating(sink, batch, refuse)

    await asyncio.gather(*(save(sink, number) for number, sink in enumerate(sinks)))
    assert sorted(refused) == sorted(f"{w}-{n}" for w in range(WORKERS) for n in (3, 7))
    ids = [f"{w}-{n}" for w in range(WORKERS) for n in range(20)]
    assert set(await sinks[1].find(ids)) == set(ids) - set(refused)


async def test_every_row_arrives_while_the_pooler_is_restarted_again_and_again(
    sinks: list[PostgresSink], pgbouncer: PgBouncer
) -> None:
    await sinks[0].open()
    saved: list[str] = []
    failures = 0
    restarted = asyncio.Event()

    async def save(sink: PostgresSink, number: int) -> None:
        nonlocal failures
        for turn in range(10_000):
            last = restarted.is_set()
            ids = [f"{number}-{turn}-{n}" for n in range(50)]
            batch = Batch([decision(each, offset=turn) for each in ids])
            while True:
                try:
                    await sink.save(batch)
                    break
                except SinkUnavailable:
                    failures += 1
                    await asyncio.sleep(0.01)
            saved.extend(ids)
            if last:
                return

    async def restart() -> None:
        for way in (pgbouncer.kill, pgbouncer.stop, pgbouncer.kill):
            there, failed = len(saved), failures
            while len(saved) < there + 500:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(way)
            while failures == failed:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(pgbouncer.restart)
        restarted.set()

    await asyncio.gather(restart(), *(save(sink, n) for n, sink in enumerate(sinks)))
    found = await sinks[0].find(saved)
    assert set(found) == set(saved)


async def test_a_pooler_that_refuses_us_is_told_at_once(pgbouncer: PgBouncer) -> None:
    for url in (pgbouncer.url_for("wrong"), pgbouncer.url_for(pgbouncer.password, "elsewhere")):
        sink = PostgresSink(url, timeout=5)
        with pytest.raises(AccessDenied, match="FRAUD_POSTGRES_URL"):
            await sink.ping()
        await sink.close()
