"""One contract for every sink, against the real servers."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path

import asyncpg
import pytest

from fraudapp.decisions.batch import Batch, decode
from fraudapp.local.server import Server
from fraudapp.settings import load
from fraudapp.sinks.archive.archive import archive_at
from fraudapp.sinks.archive.folder import PARTS
from fraudapp.sinks.base import DecisionRejected, DecisionSink, SinkUnavailable
from fraudapp.sinks.postgres.sink import PostgresSink
from fraudapp.sinks.redis import RedisSink
from fraudapp.sinks.writer import save_isolating
from models.records import Decision
from tests.e2e.kept import in_s3
from tests.unit.decisions import decision
from tests.unit.transactions import transaction

STORES = ("redis", "postgres", "pooled", "s3", "folder")
SERVERS = ("redis", "postgres", "pooled", "s3")
ROWS = ("redis", "postgres", "pooled")


@dataclass
class Case:
    """A sink, how to see what is in it, and how to take its server away."""

    sink: DecisionSink
    read: Callable[[], Awaitable[dict[str, Decision]]]
    server: Server | None = None
    folder: Path | None = None
    lines: Callable[[], Awaitable[list[Decision]]] | None = None
    """Every line there is, of an archive."""

    def down(self) -> None:
        if self.server:
            self.server.kill()
        elif self.folder:
            self.folder.rename(self.folder.with_name("elsewhere"))
            self.folder.write_text("a file where the folder was")

    def back(self) -> None:
        if self.server:
            self.server.restart()
        elif self.folder:
            self.folder.unlink()
            self.folder.with_name("elsewhere").rename(self.folder)


def _redis(request: pytest.FixtureRequest) -> Case:
    sink = RedisSink(request.getfixturevalue("redis_url"), prefix="test", ttl=60)
    ids = [f"t{number}" for number in range(100)]

    async def read() -> dict[str, Decision]:
        found = await asyncio.gather(*(sink.get(each) for each in ids))
        return {each.transaction_id: each for each in found if each}

    return Case(sink, read, request.getfixturevalue("redis_server"))


def _postgres(request: pytest.FixtureRequest) -> Case:
    sink = PostgresSink(request.getfixturevalue("postgres_url"), timeout=5)
    ids = [f"t{number}" for number in range(100)]
    return Case(sink, lambda: sink.find(ids), request.getfixturevalue("postgres"))


def _pooled(request: pytest.FixtureRequest) -> Case:
    pooler = request.getfixturevalue("pgbouncer")
    sink = PostgresSink(pooler.url, timeout=5)
    ids = [f"t{number}" for number in range(100)]
    return Case(sink, lambda: sink.find(ids), pooler)


def _s3(request: pytest.FixtureRequest) -> Case:
    server = request.getfixturevalue("s3")
    bucket = request.getfixturevalue("s3_bucket")
    environment = {**server.settings, "FRAUD_ARCHIVE_URL": f"s3://{bucket}/some/prefix"}

    async def lines() -> list[Decision]:
        return [decode(json.dumps(line).encode()) for line in await in_s3(environment)]

    return _archive(archive_at(load(environment)), lines, server=server)


def _folder(request: pytest.FixtureRequest) -> Case:
    folder = request.getfixturevalue("tmp_path") / "archive with space"

    async def lines() -> list[Decision]:
        files = [file for file in folder.rglob("*") if file.is_file()]
        contents = [gzip.decompress(file.read_bytes()) for file in files]
        return [decode(line) for content in contents for line in content.splitlines()]

    sink = archive_at(load({"FRAUD_ARCHIVE_URL": folder.as_uri()}))
    return _archive(sink, lines, folder=folder)


def _archive(
    sink: DecisionSink,
    lines: Callable[[], Awaitable[list[Decision]]],
    server: Server | None = None,
    folder: Path | None = None,
) -> Case:
    async def read() -> dict[str, Decision]:
        # As its readers do: a line may be there twice, always as it was.
        found: dict[str, Decision] = {}
        for each in await lines():
            assert found.setdefault(each.transaction_id, each) == each
        return found

    return Case(sink, read, server, folder, lines)


@pytest.fixture(params=STORES)
def prepared(request: pytest.FixtureRequest) -> Case:
    # Not in the async fixture below: fixtures can only be asked for outside of the event loop.
    case: Case = globals()[f"_{request.param}"](request)
    return case


@pytest.fixture
async def case(prepared: Case) -> AsyncIterator[Case]:
    await prepared.sink.open()
    yield prepared
    await prepared.sink.close()


BATCH = Batch([decision(f"t{number}", offset=number) for number in range(100)])
KEPT = {each.transaction_id: each for each in BATCH.decisions}


async def test_what_is_saved_is_there_as_it_was(case: Case) -> None:
    await case.sink.save(BATCH)
    assert await case.read() == KEPT


async def test_saving_twice_changes_nothing(case: Case) -> None:
    await case.sink.save(BATCH)
    await case.sink.save(BATCH)
    assert await case.read() == KEPT


archives = pytest.mark.parametrize("prepared", ["s3", "folder"], indirect=True)


@archives
async def test_a_retry_writes_the_same_file_again(case: Case) -> None:
    assert case.lines
    for batch in (BATCH, Batch(BATCH.decisions[::-1]), Batch(BATCH.decisions)):
        await case.sink.save(batch)
        assert len(await case.lines()) == 100


@archives
async def test_fewer_lines_between_the_same_offsets_replace_none(case: Case) -> None:
    await case.sink.save(BATCH)
    ends = [BATCH.decisions[0], BATCH.decisions[-1]]
    await case.sink.save(Batch(ends))
    assert await case.read() == KEPT
    others = [decision(f"u{each.offset}", offset=each.offset) for each in ends]
    await case.sink.save(Batch(others))  # which say that they come from the same positions
    assert await case.read() == KEPT | {each.transaction_id: each for each in others}


@archives
async def test_batches_saved_at_once_are_all_there(case: Case) -> None:
    # As by workers whose process has the same number, or by one that gave up waiting for a save.
    batches = [Batch(BATCH.decisions[:last]) for last in (100, 100, 100, 60, 20, 100)]
    await asyncio.gather(*(case.sink.save(batch) for batch in batches))
    assert await case.read() == KEPT


@archives
@pytest.mark.parametrize("topic", ["../../up", "a/b", "%2F", "..", "", "x" * 300, "\u8a9e", "\0"])
async def test_whatever_a_topic_is_called_its_decisions_are_in_the_archive(
    case: Case, topic: str
) -> None:
    odd = decision("t1", topic=topic)
    await case.sink.save(Batch([odd, decision("t2")]))
    assert await case.read() == {"t1": odd, "t2": decision("t2")}
    assert await case.sink.purge(odd.decided_at.date() + timedelta(days=1)) == 2
    assert await case.read() == {}


async def test_files_that_a_crash_left_unfinished_go_in_time_and_are_no_part_of_the_archive(
    tmp_path: Path,
) -> None:
    parts = tmp_path / PARTS
    parts.mkdir()
    abandoned, under_way = parts / "a.part", parts / "b.part"
    for each in (abandoned, under_way):
        each.write_bytes(b"half of")
    os.utime(abandoned, (0, 0))
    sink = archive_at(load({"FRAUD_ARCHIVE_URL": tmp_path.as_uri()}))
    await sink.open()
    assert list(parts.iterdir()) == [under_way]
    await sink.save(BATCH)
    await sink.write("reports/a.html", b"a", "text/html")
    await sink.write("reports/a.html", b"b", "text/html")
    assert (tmp_path / "reports" / "a.html").read_bytes() == b"b"
    assert list(parts.iterdir()) == [under_way]


async def test_saving_nothing_is_harmless(case: Case) -> None:
    await case.sink.save(Batch([]))
    assert await case.read() == {}


async def test_a_purge_deletes_the_days_before_and_nothing_else(case: Case) -> None:
    day = datetime(2026, 3, 4, tzinfo=timezone.utc)
    moments = [day - timedelta(microseconds=1), day, day + timedelta(days=40), day - timedelta(40)]
    batch = Batch(
        [
            decision(f"t{number}", offset=number, decided_at=moments[number % 4])
            for number in range(100)
        ]
    )
    await case.sink.save(batch)
    files = case.sink.name == "archive"
    expected = 2 if files else 50
    assert await case.sink.purge(day.date(), dry_run=True) == expected
    assert len(await case.read()) == 100
    assert await case.sink.purge(day.date()) == expected
    kept = {each.transaction_id: each for each in batch.decisions if each.decided_at >= day}
    assert await case.read() == kept
    assert await case.sink.purge(day.date()) == 0
    await case.sink.save(batch)  # the sink goes on, also about days that are gone
    assert len(await case.read()) == 100


async def test_the_store_says_that_it_is_down_and_keeps_all_once_it_is_back(case: Case) -> None:
    first, rest = Batch(BATCH.decisions[:50]), Batch(BATCH.decisions[50:])
    await case.sink.save(first)
    case.down()
    with pytest.raises(SinkUnavailable, match=case.sink.name):
        await case.sink.ping()
    with pytest.raises(SinkUnavailable, match=case.sink.name):
        await case.sink.save(rest)
    case.back()
    await case.sink.ping()
    await case.sink.save(rest)
    if case.sink.name == "redis":  # its test server keeps nothing over a restart
        await case.sink.save(first)
    assert await case.read() == KEPT


@pytest.mark.parametrize("prepared", SERVERS, indirect=True)
async def test_a_store_that_hangs_is_given_up_in_time(case: Case) -> None:
    assert case.server
    case.server.pause()
    try:
        with pytest.raises(SinkUnavailable):
            await asyncio.wait_for(case.sink.save(BATCH), 30)
    finally:
        case.server.resume()
    await case.sink.save(BATCH)
    assert await case.read() == KEPT


@pytest.mark.parametrize("prepared", ROWS, indirect=True)
async def test_the_first_decision_under_an_id_stays(case: Case) -> None:
    await case.sink.save(Batch([decision("t1", score=0.25)]))
    await case.sink.save(Batch([decision("t1", score=0.75), decision("t2")]))
    kept = await case.read()
    assert kept["t1"].score == 0.25
    assert "t2" in kept


async def test_redis_forgets_after_its_time(redis_url: str) -> None:
    sink = RedisSink(redis_url, prefix="test", ttl=1)
    await sink.save(BATCH)
    assert await sink.get("t1")
    await asyncio.sleep(1.1)  # what is tested is time itself
    assert await sink.get("t1") is None
    await sink.accept(["a"])
    assert await sink.is_accepted("a")
    assert not await sink.is_accepted("b")
    await sink.close()


async def test_many_workers_may_migrate_at_once(postgres_url: str) -> None:
    sinks = [PostgresSink(postgres_url) for _ in range(8)]
    await asyncio.gather(*(sink.open() for sink in sinks))
    await sinks[0].save(BATCH)
    assert await sinks[7].get("t1") == decision("t1", offset=1)
    await asyncio.gather(*(sink.close() for sink in sinks))


async def test_a_large_batch_is_given_up_in_time_when_postgres_stops_reading(
    postgres_url: str, postgres: Server
) -> None:
    sink = PostgresSink(postgres_url, timeout=2)
    await sink.open()
    await sink.save(BATCH)  # there is a connection
    # 24 MB: more than the buffers of both ends.
    long = transaction("t", nameOrig="\u8a9e" * 128, nameDest="\u8a9e" * 128)
    large = Batch([decision(f"t{n}", offset=n, transaction=long) for n in range(20_000)])
    postgres.pause()
    try:
        with pytest.raises(SinkUnavailable):
            await asyncio.wait_for(sink.save(large), 20)
    finally:
        postgres.resume()
    await sink.save(large)
    assert len(await sink.find([f"t{n}" for n in range(20_000)])) == 20_000
    await sink.close()


async def test_rows_are_saved_over_connections_that_are_older_than_the_schema(
    postgres_url: str,
) -> None:
    sink = PostgresSink(postgres_url, pool_size=1)
    await sink.open()
    await sink.save(BATCH)
    connection = await asyncpg.connect(postgres_url.replace("+asyncpg", ""))
    await connection.execute("ALTER TABLE decisions ALTER COLUMN is_fraud TYPE integer")
    await connection.execute("ALTER TABLE decisions ALTER COLUMN score TYPE real")
    await connection.close()
    refused: list[str] = []

    async def refuse(name: str, each: Decision, exc: DecisionRejected) -> None:
        refused.append(each.transaction_id)

    later = [decision(f"t{n}", offset=n, score=0.5) for n in range(100, 200)]
    with suppress(SinkUnavailable):  # the first attempt may find its plan outdated
        await save_isolating(sink, later, refuse)
    await save_isolating(sink, later, refuse)
    assert refused == []
    assert len(await sink.find([each.transaction_id for each in later])) == 100
    await sink.close()


async def test_what_postgres_refuses_is_isolated_and_its_neighbours_are_kept(
    postgres_url: str,
) -> None:
    sink = PostgresSink(postgres_url)
    await sink.open()
    poison = transaction("t3", nameOrig="no\x00text")
    batch = [decision(f"t{number}", offset=number) for number in range(10)]
    batch[3] = decision("t3", offset=3, transaction=poison)
    batch[6] = decision("t6", offset=2**63)  # refused by the client, not by the server
    with pytest.raises(DecisionRejected):
        await sink.save(Batch(batch))
    refused: list[str] = []

    async def refuse(name: str, each: Decision, exc: DecisionRejected) -> None:
        refused.append(each.transaction_id)

    await save_isolating(sink, batch, refuse)
    assert refused == ["t3", "t6"]
    assert set(await sink.find(list(KEPT))) == {f"t{n}" for n in range(10) if n not in (3, 6)}
    await sink.close()
