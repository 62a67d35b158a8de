"""Labels come into Postgres and the archive, whole and once, whatever is down meanwhile."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from time import monotonic
from typing import Any, Final

import asyncpg
import pytest
from aiokafka import TopicPartition

from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.clients import new_consumer
from fraudapp.kafka.producer import BatchProducer
from fraudapp.labels.records import LabelledRecord
from fraudapp.local.processes import POLL_INTERVAL
from fraudapp.local.server import Server
from fraudapp.settings import load
from fraudapp.sinks.all import Sinks
from fraudapp.sinks.archive.archive import archive_at
from fraudapp.sinks.labels.all import label_keepers
from fraudapp.sinks.labels.archive import ArchivedLabels
from fraudapp.sinks.labels.keeper import LabelKeeper
from fraudapp.sinks.progress import Progress
from fraudapp.sinks.purge import delete, mark
from models.labels.records import Labelled, Said, Source, encode, labelled
from models.labels.state import apply
from tests.servers.s3proxy import S3Proxy
from tests.support.decisions import DECIDED_AT, decision, id_in_partition
from tests.support.readback import in_s3

PARTITIONS: Final = 2
PATIENCE: Final = 60.0
AT: Final = datetime(2026, 4, 1, 8, tzinfo=timezone.utc)
STORES: Final = ("postgres", "archive")
SOURCES: Final = tuple(Source)
Row = dict[str, Any]


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    deadline = monotonic() + PATIENCE
    while not await holds():
        assert monotonic() < deadline, "it never held"
        await asyncio.sleep(POLL_INTERVAL)


class Bench:
    """The labelled topic, what its records say, and services that bring it into both stores."""

    def __init__(self, environment: dict[str, str], archive: Path) -> None:
        self.settings = load(environment)
        self.producer = BatchProducer(self.settings)
        self.observers = {
            name: new_consumer(self.settings, f"{self.settings.app_id}-labels-{name}")
            for name in STORES
        }
        self.known: dict[str, Labelled] = {}
        """By id: the newest labelled decision."""
        self.records: list[list[bytes]] = [[] for _ in range(PARTITIONS)]
        """What was written, by partition."""
        self._archive = archive
        self._offset = 0

    async def label(self, *numbers: int, days: int = 0) -> None:
        """Write labels on the decisions with these numbers, made some days after the first."""
        for number in numbers:
            partition = number % PARTITIONS
            id_ = id_in_partition(partition, number, PARTITIONS)
            labels = dict(self.known[id_].labels) if id_ in self.known else {}
            said = Said(label=1, at=AT, by=f"teller {number}", offset=self._offset)
            apply(labels, SOURCES[self._offset % len(SOURCES)], said)
            self._offset += 1
            decided_at = DECIDED_AT + timedelta(days=days)
            made = decision(id_, decided_at=decided_at, partition=partition, offset=number)
            self.known[id_] = labelled(made, labels)
            await self.write(partition, encode(self.known[id_]), id_)

    async def write(self, partition: int, value: bytes, id_: str) -> None:
        topic = self.settings.labelled_topic
        await self.producer.append(topic, partition, [(id_.encode(), value, [])], "writing")
        self.records[partition].append(value)

    async def repeat(self) -> None:
        """Write all records again, the oldest last, as nobody does; it must change nothing."""
        for partition, written in enumerate(self.records):
            for value in reversed(list(written)):
                await self.write(partition, value, json.loads(value)["decision"]["transaction_id"])

    @asynccontextmanager
    async def keeping(self) -> AsyncIterator[dict[str, LabelKeeper]]:
        """The services of one worker."""
        self.progress = progress = Progress(self.settings, self.producer, ("redis", *STORES))
        keepers = label_keepers(self.settings, progress)
        for each in keepers:
            each.store.linger = min(each.store.linger, 0.5)
        services = [progress, *keepers]
        for service in services:
            await service.start()
        try:
            yield {each.store.name: each for each in keepers}
        finally:
            for service in reversed(services):
                await service.stop()

    async def kept(self, *stores: str) -> None:
        """Return once these stores have all that was written, as their groups say."""
        for name in stores or STORES:
            await until(lambda name=name: self._is_kept(name))  # type: ignore[misc]

    async def _is_kept(self, name: str) -> bool:
        offsets = [await self.observers[name].committed(each) for each in self.partitions]
        return [each or 0 for each in offsets] == [len(each) for each in self.records]

    @property
    def partitions(self) -> list[TopicPartition]:
        topic = self.settings.labelled_topic
        return [TopicPartition(topic, each) for each in range(PARTITIONS)]

    async def rows(self) -> list[Row]:
        url = self.settings.postgres_url.get_secret_value().replace("+asyncpg", "")
        connection = await asyncpg.connect(url)
        try:
            found = await connection.fetch("SELECT * FROM labels ORDER BY transaction_id, source")
        finally:
            await connection.close()
        return [dict(each) for each in found]

    def expected(self, *, since: datetime = DECIDED_AT) -> list[Row]:
        """The rows that there have to be."""
        found = [
            {
                "transaction_id": id_,
                "source": source.value,
                "label": said.label,
                "at": said.at,
                "by": said.by,
                "effective": source is each.source,
                "input_partition": int(id_[1:].partition("-")[0]) % PARTITIONS,
                "input_offset": said.offset,
                "version": each.version,
                "decided_at": each.decision.decided_at,
            }
            for id_, each in self.known.items()
            for source, said in each.labels.items()
            if each.decision.decided_at >= since
        ]
        return sorted(found, key=lambda row: (row["transaction_id"], row["source"]))

    def files(self) -> dict[str, list[bytes]]:
        """The lines of each file, by its key."""
        return {
            str(each.relative_to(self._archive)): gzip.decompress(each.read_bytes()).splitlines()
            for each in (self._archive / "labels").rglob("*.jsonl.gz")
        }

    def newest_archived(self) -> dict[str, int]:
        """By id: the version that counts, as a reader of the archive finds it."""
        found: dict[str, int] = {}
        for lines in self.files().values():
            for line in map(json.loads, lines):
                id_ = line["decision"]["transaction_id"]
                found[id_] = max(found.get(id_, 0), line["version"])
        return found

    async def check(self) -> None:
        assert await self.rows() == self.expected()
        assert self.newest_archived() == {id_: each.version for id_, each in self.known.items()}


@pytest.fixture
async def bench(
    kafka: Server, postgres_url: str, topics: dict[str, str], tmp_path: Path
) -> AsyncIterator[Bench]:
    archive = tmp_path / "archive"
    environment = {
        **topics,
        "FRAUD_BROKER_URL": kafka.url,
        "FRAUD_BROKER_SESSION_TIMEOUT": "6",
        "FRAUD_BROKER_HEARTBEAT_INTERVAL": "1",
        "FRAUD_BROKER_FETCH_WAIT": "0.05",
        "FRAUD_TOPIC_PARTITIONS": str(PARTITIONS),
        "FRAUD_POSTGRES_URL": postgres_url,
        "FRAUD_ARCHIVE_URL": archive.as_uri(),
        "FRAUD_DATA_DIR": str(tmp_path),
    }
    bench = Bench(environment, archive)
    await kafka_topics.ensure(bench.settings)
    await bench.producer.start()
    for each in bench.observers.values():
        await each.start()
        each.assign(bench.partitions)
    yield bench
    for each in bench.observers.values():
        await each.stop()
    await bench.producer.stop()


async def test_all_labels_are_kept_those_of_before_the_start_too(bench: Bench) -> None:
    await bench.label(*range(20))
    async with bench.keeping() as keepers:
        await bench.kept()
        await bench.check()
        await bench.label(*range(10, 30), *range(10))
        await bench.kept()
        assert not [each.troubles() for each in keepers.values() if each.troubles()]
    await bench.check()
    assert len(await bench.rows()) > 30


async def test_repeats_and_older_versions_change_nothing(bench: Bench) -> None:
    await bench.label(*range(6), *range(6), 0, 0)
    async with bench.keeping():
        await bench.kept()
        before = await bench.rows()
        await bench.repeat()
        await bench.kept()
        assert await bench.rows() == before
    await bench.check()


async def test_what_was_kept_and_not_committed_is_kept_again_under_the_same_names(
    bench: Bench,
) -> None:
    await bench.label(*range(12), days=0)
    await bench.label(*range(12, 20), days=1)
    async with bench.keeping():
        await bench.kept()
    before = bench.files(), await bench.rows()
    for each in bench.observers.values():
        await each.commit(dict.fromkeys(bench.partitions, 0))
    async with bench.keeping():
        await bench.kept()
    assert (bench.files(), await bench.rows()) == before
    folders = {Path(each).parts[1] for each in bench.files()}
    assert folders == {f"date={(DECIDED_AT + timedelta(days=each)).date()}" for each in (0, 1)}


async def test_a_postgres_that_is_away_stops_nothing_and_catches_up(
    bench: Bench, postgres: Server
) -> None:
    async with bench.keeping() as keepers:
        await bench.label(*range(10))
        await bench.kept()
        postgres.kill()
        await bench.label(*range(5, 40))
        await bench.kept("archive")
        assert [each or 0 for each in await _offsets(bench, "postgres")] == [5, 5]
        assert not keepers["postgres"].troubles()
        postgres.restart()
        await bench.kept()
        await bench.check()


async def test_what_is_purged_while_postgres_is_away_does_not_come_when_it_is_back(
    bench: Bench, postgres: Server
) -> None:
    await bench.label(*range(4))
    async with bench.keeping():
        await bench.kept()
        postgres.kill()
        await bench.label(*range(4, 8))
        await bench.label(*range(8, 12), days=1)
        await bench.kept("archive")
        await mark(bench.settings, ["postgres"], DECIDED_AT.date() + timedelta(days=1))
        await bench.progress.current()
        postgres.restart()
        await bench.kept()
    numbers = [int(row["transaction_id"][1:].partition("-")[0]) for row in await bench.rows()]
    assert sorted(numbers) == [*range(4), *range(8, 12)]


async def test_a_worker_that_comes_while_postgres_is_away_makes_the_table_and_catches_up(
    bench: Bench, postgres: Server
) -> None:
    postgres.kill()
    async with bench.keeping():
        await bench.label(*range(10))
        await bench.kept("archive")
        postgres.restart()
        await bench.kept()
    await bench.check()


async def test_workers_come_and_go_and_nothing_is_lost(bench: Bench) -> None:
    async with bench.keeping() as first:
        await bench.label(*range(20))
        async with bench.keeping() as second:
            await until(lambda: _share(first, second))
            await bench.label(*range(10, 40))
            await bench.kept()
        await bench.label(*range(40, 50), *range(5))
        await bench.kept()
    await bench.check()


async def test_an_archive_that_is_away_stops_nothing_and_catches_up(
    bench: Bench, tmp_path: Path
) -> None:
    folder = tmp_path / "archive"
    async with bench.keeping():
        await bench.label(*range(6))
        await bench.kept()
        folder.rename(tmp_path / "elsewhere")
        folder.write_text("a file where the folder was")
        await bench.label(*range(6, 12))
        await bench.kept("postgres")
        folder.unlink()
        (tmp_path / "elsewhere").rename(folder)
        await bench.kept()
    await bench.check()


async def test_records_that_are_not_ours_and_poison_cost_their_neighbours_nothing(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.label(0, 2)
    id_ = id_in_partition(0, 99, PARTITIONS)
    poison = labelled(decision(id_), {Source.ANALYST: Said(label=1, at=AT, by="\0", offset=9)})
    await bench.write(0, encode(poison), id_)
    for value in (b"no JSON", b"{}", encode(poison).replace(b"analyst", b"nobody")):
        await bench.write(0, value, id_)
    await bench.label(4, 1)
    async with bench.keeping():
        await bench.kept()
        assert await bench.rows() == bench.expected()
    assert f"{bench.settings.labelled_topic}/0/2: CharacterNotInRepertoireError" in caplog.text


async def test_labels_go_with_the_days_that_are_purged_and_do_not_come_back(bench: Bench) -> None:
    for days in range(3):
        await bench.label(*range(4 * days, 4 * days + 4), days=days)
    day = date(2026, 3, 6)  # the third
    since = datetime(2026, 3, 6, tzinfo=timezone.utc)
    sinks = Sinks(bench.settings)
    async with bench.keeping():
        await bench.kept()
        assert len(await bench.rows()) == 12
        for sink, left in ((sinks.postgres, 8), (sinks.archive, 4)):
            assert (await sink.days())[0] == DECIDED_AT.date()
            assert await sink.purge(day, dry_run=True) == left  # rows, or files
        await mark(bench.settings, STORES, day)
        await bench.progress.current()
        assert await delete(sinks.postgres, day) == 8
        assert await delete(sinks.archive, day) == 4
        assert await bench.rows() == bench.expected(since=since)
        assert _days(bench.files()) == {day}
        # A chargeback comes late, about a decision that is gone.
        await bench.label(0, 1)
        await bench.label(8, days=2)
        bench.known = {
            id_: each for id_, each in bench.known.items() if each.decision.decided_at >= since
        }
        await bench.kept()
    assert await bench.rows() == bench.expected(since=since)
    # By a worker that begins anew, too.
    for each in bench.observers.values():
        await each.commit(dict.fromkeys(bench.partitions, 0))
    async with bench.keeping():
        await bench.kept()
    assert await bench.rows() == bench.expected(since=since)
    assert _days(bench.files()) == {day}
    await sinks.postgres.close()


async def test_a_bucket_keeps_labels_by_day_until_they_are_purged(
    s3: S3Proxy, s3_bucket: str
) -> None:
    environment = {**s3.settings, "FRAUD_ARCHIVE_URL": f"s3://{s3_bucket}/some/prefix"}
    archive = archive_at(load(environment))
    store = ArchivedLabels(archive)
    await store.open()
    said = {Source.ANALYST: Said(label=1, at=AT, by="ann", offset=0)}
    made = [
        labelled(decision(f"t{days}", decided_at=DECIDED_AT + timedelta(days=days)), said)
        for days in range(3)
    ]
    records = [LabelledRecord(0, at, 0, each, encode(each)) for at, each in enumerate(made)]
    for _ in range(2):
        await store.keep(records)
    assert await in_s3(environment) == [json.loads(each.encoded) for each in records]
    first = DECIDED_AT.date()
    assert sorted(await archive.days()) == [first + timedelta(days=days) for days in range(3)]
    assert await archive.purge(first + timedelta(days=2), dry_run=True) == 2
    assert await archive.purge(first + timedelta(days=2)) == 2
    assert await in_s3(environment) == [json.loads(records[2].encoded)]
    await store.close()


def _days(files: Iterable[str]) -> set[date]:
    return {date.fromisoformat(Path(each).parts[1].removeprefix("date=")) for each in files}


async def _offsets(bench: Bench, store: str) -> list[int | None]:
    return [await bench.observers[store].committed(each) for each in bench.partitions]


async def _share(*workers: dict[str, LabelKeeper]) -> bool:
    """Whether both workers have a partition of each store."""
    return all(
        len(each._consumer.assignment()) == 1 for keepers in workers for each in keepers.values()
    )
