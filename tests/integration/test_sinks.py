"""One contract for every sink, against the real servers."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import asyncpg
import pytest

from fraudapp.decisions.batch import Batch
from fraudapp.local.server import Server
from fraudapp.settings import load
from fraudapp.sinks.archive.archive import archive_at
from fraudapp.sinks.archive.folder import PARTS_FOLDER
from fraudapp.sinks.base import DecisionRejected, DecisionSink, SinkUnavailable
from fraudapp.sinks.poison_rows import save_isolating
from fraudapp.sinks.postgres.sink import PostgresSink
from fraudapp.sinks.redis import RedisSink
from models.records import Decision
from models.schema.schema import PAYSIM
from tests.contracts.sinks import BATCH, KEPT, Case, RowsContract, SinkContract
from tests.support.decisions import decision
from tests.support.readback import in_s3
from tests.support.transactions import transaction

SINKS = ("redis", "postgres", "pooled", "s3", "folder")
SERVERS = ("redis", "postgres", "pooled", "s3")
ROWS = ("redis", "postgres", "pooled")


@dataclass
class SinkCase(Case):
    """A sink on a server or in a folder."""

    server: Server | None = None
    folder: Path | None = None
    lines: Callable[[], Awaitable[list[Decision]]] | None = None
    """All lines of an archive; None for the other sinks."""

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


def _redis(request: pytest.FixtureRequest) -> SinkCase:
    sink = RedisSink(request.getfixturevalue("redis_url"), prefix="test", ttl=60)
    ids = [f"t{number}" for number in range(100)]

    async def read() -> dict[str, Decision]:
        found = await asyncio.gather(*(sink.get(each) for each in ids))
        return {each.transaction_id: each for each in found if each}

    return SinkCase(sink, read, request.getfixturevalue("redis_server"))


def _postgres(request: pytest.FixtureRequest) -> SinkCase:
    sink = PostgresSink(request.getfixturevalue("postgres_url"), timeout=5)
    ids = [f"t{number}" for number in range(100)]
    return SinkCase(sink, lambda: sink.find(ids), request.getfixturevalue("postgres"))


def _pooled(request: pytest.FixtureRequest) -> SinkCase:
    pooler = request.getfixturevalue("pgbouncer")
    sink = PostgresSink(pooler.url, timeout=5)
    ids = [f"t{number}" for number in range(100)]
    return SinkCase(sink, lambda: sink.find(ids), pooler)


def _s3(request: pytest.FixtureRequest) -> SinkCase:
    server = request.getfixturevalue("s3")
    bucket = request.getfixturevalue("s3_bucket")
    environment = {**server.settings, "FRAUD_ARCHIVE_URL": f"s3://{bucket}/some/prefix"}

    async def lines() -> list[Decision]:
        return [PAYSIM.decode(json.dumps(line).encode()) for line in await in_s3(environment)]

    return _archive(archive_at(load(environment)), lines, server=server)


def _folder(request: pytest.FixtureRequest) -> SinkCase:
    folder = request.getfixturevalue("tmp_path") / "archive with space"

    async def lines() -> list[Decision]:
        files = [file for file in folder.rglob("*") if file.is_file()]
        contents = [gzip.decompress(file.read_bytes()) for file in files]
        return [PAYSIM.decode(line) for content in contents for line in content.splitlines()]

    sink = archive_at(load({"FRAUD_ARCHIVE_URL": folder.as_uri()}))
    return _archive(sink, lines, folder=folder)


def _archive(
    sink: DecisionSink,
    lines: Callable[[], Awaitable[list[Decision]]],
    server: Server | None = None,
    folder: Path | None = None,
) -> SinkCase:
    async def read() -> dict[str, Decision]:
        # As readers of the archive do: a line may be there twice, and is the same then.
        found: dict[str, Decision] = {}
        for each in await lines():
            assert found.setdefault(each.transaction_id, each) == each
        return found

    return SinkCase(sink, read, server, folder, lines)


@pytest.fixture(params=SINKS)
def prepared(request: pytest.FixtureRequest) -> SinkCase:
    # Not in the async fixture below: `getfixturevalue` works only outside of the event loop.
    case: SinkCase = globals()[f"_{request.param}"](request)
    return case


@pytest.fixture
async def case(prepared: SinkCase) -> AsyncIterator[SinkCase]:
    await prepared.sink.open()
    yield prepared
    await prepared.sink.close()


class TestSinks(SinkContract):
    pass


@pytest.mark.parametrize("prepared", ROWS, indirect=True)
class TestSinksOfRows(RowsContract):
    pass


archives = pytest.mark.parametrize("prepared", ["s3", "folder"], indirect=True)


@archives
async def test_a_retry_writes_the_same_file_again(case: SinkCase) -> None:
    assert case.lines
    for batch in (BATCH, Batch(BATCH.decisions[::-1]), Batch(BATCH.decisions)):
        await case.sink.save(batch)
        assert len(await case.lines()) == 100


@archives
async def test_fewer_lines_between_the_same_offsets_replace_none(case: SinkCase) -> None:
    await case.sink.save(BATCH)
    ends = [BATCH.decisions[0], BATCH.decisions[-1]]
    await case.sink.save(Batch(ends))
    assert await case.read() == KEPT
    others = [decision(f"u{each.offset}", offset=each.offset) for each in ends]
    await case.sink.save(Batch(others))  # with the same positions as `ends`
    assert await case.read() == KEPT | {each.transaction_id: each for each in others}


@archives
async def test_batches_saved_at_once_are_all_there(case: SinkCase) -> None:
    # As workers with the same process id do, or a worker that gave up waiting for a save.
    batches = [Batch(BATCH.decisions[:last]) for last in (100, 100, 100, 60, 20, 100)]
    await asyncio.gather(*(case.sink.save(batch) for batch in batches))
    assert await case.read() == KEPT


@archives
@pytest.mark.parametrize("topic", ["../../up", "a/b", "%2F", "..", "", "x" * 300, "\u8a9e", "\0"])
async def test_whatever_a_topic_is_called_its_decisions_are_in_the_archive(
    case: SinkCase, topic: str
) -> None:
    odd = decision("t1", topic=topic)
    await case.sink.save(Batch([odd, decision("t2")]))
    assert await case.read() == {"t1": odd, "t2": decision("t2")}
    assert await case.sink.purge(odd.decided_at.date() + timedelta(days=1)) == 2
    assert await case.read() == {}


async def test_files_that_a_crash_left_unfinished_go_in_time_and_are_no_part_of_the_archive(
    tmp_path: Path,
) -> None:
    parts = tmp_path / PARTS_FOLDER
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


@pytest.mark.parametrize("prepared", SERVERS, indirect=True)
async def test_a_sink_that_hangs_is_given_up_in_time(case: SinkCase) -> None:
    assert case.server
    case.server.pause()
    try:
        with pytest.raises(SinkUnavailable):
            await asyncio.wait_for(case.sink.save(BATCH), 30)
    finally:
        case.server.resume()
    await case.sink.save(BATCH)
    assert await case.read() == KEPT


async def test_redis_forgets_after_its_time_to_live(redis_url: str) -> None:
    sink = RedisSink(redis_url, prefix="test", ttl=1)
    await sink.save(BATCH)
    assert await sink.get("t1")
    await asyncio.sleep(1.1)  # Redis has no clock to be set
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
    await sink.save(BATCH)  # so that the pool has a connection
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
    rejected: list[str] = []

    async def reject(name: str, each: Decision, exc: DecisionRejected) -> None:
        rejected.append(each.transaction_id)

    later = [decision(f"t{n}", offset=n, score=0.5) for n in range(100, 200)]
    with suppress(SinkUnavailable):  # the first attempt may find its plan outdated
        await save_isolating(sink, later, reject)
    await save_isolating(sink, later, reject)
    assert rejected == []
    assert len(await sink.find([each.transaction_id for each in later])) == 100
    await sink.close()


async def test_poison_rows_are_isolated_and_their_neighbours_are_saved(
    postgres_url: str,
) -> None:
    sink = PostgresSink(postgres_url)
    await sink.open()
    poison = transaction("t3", nameOrig="no\x00text")
    batch = [decision(f"t{number}", offset=number) for number in range(10)]
    batch[3] = decision("t3", offset=3, transaction=poison)
    batch[6] = decision("t6", offset=2**63)  # rejected by asyncpg, not by the server
    with pytest.raises(DecisionRejected):
        await sink.save(Batch(batch))
    rejected: list[str] = []

    async def reject(name: str, each: Decision, exc: DecisionRejected) -> None:
        rejected.append(each.transaction_id)

    await save_isolating(sink, batch, reject)
    assert rejected == ["t3", "t6"]
    assert set(await sink.find(list(KEPT))) == {f"t{n}" for n in range(10) if n not in (3, 6)}
    await sink.close()
