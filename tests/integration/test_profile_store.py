"""Profiles of every worker come to what the log has, whoever decides and whatever breaks."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import datetime, timedelta, timezone
from functools import partial
from itertools import count
from pathlib import Path
from time import monotonic
from typing import Any, cast

import pytest
from msgspec.structs import replace

from fraudapp.decisions.batch import Batch
from fraudapp.decisions.log import DecisionLog
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.last_records import LastRecord
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.labels import database
from fraudapp.local.processes import POLL_INTERVAL
from fraudapp.local.server import Server
from fraudapp.process.disk import DiskFull
from fraudapp.profiles import due_labels
from fraudapp.profiles.folding import Folded
from fraudapp.profiles.service import Profiles
from fraudapp.profiles.store import State
from fraudapp.settings import Settings, load
from fraudapp.sinks.archive.archive import Archive
from models.records import Decision
from tests.support.damage import damage
from tests.support.decisions import id_in_partition
from tests.support.remembered import SCHEMA
from tests.unit.fraudapp.profiles.shop import paid, shop, told, values

PARTITIONS = 4
CUSTOMERS, TERMINALS = ["C1", "C2", "C3"], ["T1", "T2"]


class Site:
    """A worker that remembers accounts, and decides what it is told to."""

    generations = count(1)

    def __init__(self, settings: Settings, archive: Archive | None = None) -> None:
        self.settings = settings
        self.producer = BatchProducer(settings)
        self.log = DecisionLog(settings, self.producer)
        self.profiles = Profiles(settings, self.log, archive)
        self.log.on_read = self.profiles.take_read

    async def start(self) -> None:
        await self.producer.start()
        await self.log.open()
        await self.profiles.start()

    async def stop(self) -> None:
        await self.profiles.stop()
        await self.log.close()
        await self.producer.stop()

    @property
    def folded(self) -> Folded:
        assert self.profiles._folded is not None
        return self.profiles._folded

    async def own(self, *partitions: int) -> None:
        """Take these partitions over, and leave all others."""
        generation = next(self.generations)
        for each in partitions:
            await self.log.ready(each, generation)
        self.profiles.on_assigned(partitions)

    async def decide(self, partition: int, decisions: Sequence[Decision]) -> bool:
        """Do what the pipeline does with new ids; returns whether they were appended in one go."""
        index = self.log.index(partition)
        assert index is not None
        start = index.next_offset
        await self.profiles.wait_for({partition: start})
        moment = decisions[0].decided_at
        _, events = self.profiles.read([each.transaction for each in decisions], moment)
        assert events is not None
        batch = Batch(decisions)
        appended = await self.log.append(partition, batch, start)
        if appended:
            self.profiles.settle(partition, start, events, batch.encoded[-1])
        else:
            self.profiles.release(partition, events)
        return appended

    async def append(self, partition: int, decisions: Sequence[Decision]) -> None:
        """Append decisions as a worker does that was frozen, and owns the partition no more."""
        batch = Batch(decisions)
        new: list[NewRecord] = [(*each, []) for each in zip(batch.keys, batch.encoded, strict=True)]
        topic = self.settings.decisions_topic
        await self.producer.append(topic, partition, iter(new), "publishing", divide=True)

    def known(self, at: datetime | None = None) -> dict[str, dict[str, float]]:
        """What is known of all accounts at a moment, by default now."""
        return values(self.folded, CUSTOMERS, TERMINALS, at or datetime.now(timezone.utc))

    def sent(self) -> dict[str, float]:
        """How much each customer has sent."""
        return {name.split()[0]: each["sent"] for name, each in self.known().items()}

    def spent(self) -> float:
        """What all have spent."""
        return sum(each["spent"] for each in self.known().values())


class Bench:
    """Workers of one application, and the decisions that it has come to."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.environment = environment
        self.folder = folder
        self.sites: list[Site] = []
        self._numbers = count()

    async def site(self, name: str, archive: Archive | None = None, **changes: str) -> Site:
        settings = load({**self.environment, "FRAUD_DATA_DIR": str(self.folder / name), **changes})
        await kafka_topics.ensure(settings)
        site = Site(settings, archive)
        self.sites.append(site)
        await site.start()
        return site

    async def stop(self, *sites: Site) -> None:
        for site in sites or [*self.sites]:
            self.sites.remove(site)
            await site.stop()

    def made(self, partition: int, *customers: str) -> list[Decision]:
        """New decisions of a partition, of now, on payments of 10."""
        found, at = [], datetime.now(timezone.utc)
        for customer in customers:
            number = next(self._numbers)
            id_ = id_in_partition(partition, number, PARTITIONS)
            terminal = TERMINALS[number % 2]
            found.append(paid(id_, customer, terminal, at=at, partition=partition, offset=number))
        return found


@pytest.fixture
def environment(kafka: Server, topics: dict[str, str], tmp_path: Path) -> dict[str, str]:
    (tmp_path / "shop.toml").write_text(SCHEMA)
    return {
        **topics,
        "FRAUD_BROKER_URL": kafka.url,
        "FRAUD_SCHEMA": str(tmp_path / "shop.toml"),
        "FRAUD_TOPIC_PARTITIONS": str(PARTITIONS),
        "FRAUD_BROKER_FETCH_WAIT": "0.05",
    }


@pytest.fixture
async def bench(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(environment, tmp_path)
    yield bench
    await bench.stop()


async def eventually(check: Callable[[], bool], seconds: float = 30.0) -> None:
    """Return once something is so, which is asked by this thread: profiles know no others."""
    deadline = monotonic() + seconds
    while not check():
        assert monotonic() < deadline
        await asyncio.sleep(POLL_INTERVAL)


async def until(site: Site, **expected: float) -> None:
    """Return once a worker knows so many of each customer; it must never know more."""

    def check() -> bool:
        sent = site.sent()
        assert all(sent[name] <= expected.get(name, 0.0) for name in CUSTOMERS)
        return all(sent[name] == expected.get(name, 0.0) for name in CUSTOMERS)

    await eventually(check)


def has_sent(site: Site, name: str, many: float) -> bool:
    """Whether a worker knows so many of a customer."""
    return site.sent()[name] == many


def alike(one: Site, other: Site) -> bool:
    """Whether two workers know the same."""
    now = datetime.now(timezone.utc)
    return one.known(now) == other.known(now)


async def ready(site: Site) -> None:
    await eventually(lambda: site.profiles.is_ready)


async def met(site: Site, partition: int) -> None:
    """Do what a worker does before it decides, once its index has what others have appended."""
    index = await site.log.ready(partition, next(Site.generations))
    await site.profiles.wait_for({partition: index.next_offset})


async def test_decisions_of_all_workers_are_followed_and_own_ones_are_settled(
    bench: Bench,
) -> None:
    one, other = [await bench.site(name) for name in ("one", "other")]
    await one.own(0, 1)
    await other.own(2, 3)
    for turn in range(3):
        for partition in range(PARTITIONS):
            site, name = (one, "C1") if partition < 2 else (other, "C2")
            before = site.sent()[name]
            assert await site.decide(partition, bench.made(partition, name, "C3", name))
            assert site.sent()[name] == before + 2, turn  # at once
    for site in (one, other):
        await until(site, C1=12, C2=12, C3=12)
    assert alike(one, other)
    assert one.profiles.lag() < 5


async def test_ids_that_were_decided_before_change_nothing(bench: Bench) -> None:
    one, other = [await bench.site(name) for name in ("one", "other")]
    await one.own(0)
    first = bench.made(0, "C1", "C2")
    assert await one.decide(0, first)
    await until(other, C1=1.0, C2=1.0)
    again = [paid(first[0].transaction_id, "C1", "T1", 5.0, at=datetime.now(timezone.utc))]
    new = bench.made(0, "C3")
    await other.append(0, [*again, *new, *again])
    await met(one, 0)
    for site in (one, other):
        await until(site, C1=1.0, C2=1.0, C3=1.0)
        assert site.spent() == 30.0
    restarted = await bench.site("third")
    await until(restarted, C1=1.0, C2=1.0, C3=1.0)
    assert alike(restarted, one)


async def test_forged_records_under_an_id_do_not_keep_its_decision_out(bench: Bench) -> None:
    one, other = [await bench.site(name) for name in ("one", "other")]
    await one.own(0)
    later = bench.made(0, "C1")
    forged = replace(
        later[0], decided_at=datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=14)))
    )
    assert await one.decide(0, bench.made(0, "C2"))
    await one.append(0, [forged])
    await met(one, 0)
    assert await one.decide(0, bench.made(0, "C3"))
    await until(other, C2=1.0, C3=1.0)
    await bench.stop(other)
    restarted = await bench.site("other")  # it reads the ids before its profiles again
    await ready(restarted)
    assert await one.decide(0, later)
    for site in (one, restarted):
        await until(site, C1=1.0, C2=1.0, C3=1.0)


async def test_what_another_has_appended_in_between_is_read_from_the_log(bench: Bench) -> None:
    one, other = [await bench.site(name) for name in ("one", "other")]
    await one.own(0)
    assert await one.decide(0, bench.made(0, "C1"))
    await other.append(0, bench.made(0, "C2", "C3"))
    assert not await one.decide(0, bench.made(0, "C1"))
    await met(one, 0)
    for site in (one, other):
        # Ours may be in the log all the same, behind theirs.
        await eventually(partial(has_sent, site, "C3", 1.0))
    await eventually(lambda: one.sent() == other.sent())
    sent = one.sent()
    assert await one.decide(0, bench.made(0, "C1"))
    assert one.sent()["C1"] == sent["C1"] + 1


async def test_partitions_move_between_workers(bench: Bench) -> None:
    one, other = [await bench.site(name) for name in ("one", "other")]
    expected = 0.0
    for turn in range(4):
        mine, rest = (one, other) if turn % 2 else (other, one)
        await rest.own(*range(2, 4))
        await mine.own(0, 1)
        for partition in (0, 1, 0):
            assert await mine.decide(partition, bench.made(partition, "C1", "C1"))
            expected += 2
        assert await rest.decide(2, bench.made(2, "C1"))
        expected += 1
        await until(mine, C1=expected)
        await until(rest, C1=expected)
    assert alike(one, other)


async def test_a_restart_goes_on_from_the_disk(bench: Bench) -> None:
    one = await bench.site("one")
    await one.own(0, 1)
    assert await one.decide(0, bench.made(0, "C1", "C2"))
    await bench.stop(one)
    other = await bench.site("other")
    await other.own(0, 1)
    assert await other.decide(1, bench.made(1, "C1"))
    assert await other.decide(0, bench.made(0, "C3"))
    again = await bench.site("one")
    assert again.folded.store.state.decisions[0] == 2
    await until(again, C1=2.0, C2=1.0, C3=1.0)
    await ready(again)
    assert alike(again, other)


async def test_a_worker_that_cannot_write_says_that_its_profiles_are_behind(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await bench.site("one"), await bench.site("other")
    await other.own(0)
    await until(one)
    stopped = False

    def write() -> None:
        if stopped:
            raise DiskFull(bench.folder, "Write stall")

    monkeypatch.setattr(database, "DISK_TIMEOUT", 60.0)
    monkeypatch.setattr(one.folded, "write", write)
    assert await other.decide(0, bench.made(0, "C1"))
    await until(one, C1=1)
    assert one.profiles.lag() == 0
    stopped = True
    assert await other.decide(0, bench.made(0, "C2"))
    await eventually(lambda: one.profiles.lag() > 2.0)
    stopped = False
    await until(one, C1=1, C2=1)
    await eventually(lambda: one.profiles.lag() == 0)


async def test_profiles_that_have_read_more_than_the_log_has_are_made_anew(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    one = await bench.site("one")
    await one.own(0)
    assert await one.decide(0, bench.made(0, "C1", "C2"))
    store = one.folded.store
    one.folded.write()
    state = State(store.version, {0: 1_000}, {}, {0: LastRecord(999, b"")})
    store.write({b"\x01C3": b"wrong"}, {}, state)
    state = store.state
    one.folded.close()  # so that its end writes nothing
    await bench.stop(one)
    again = await bench.site("one")
    await ready(again)
    assert state.decisions == {0: 1_000}
    assert again.sent() == {"C1": 1.0, "C2": 1.0, "C3": 0.0}
    assert "made anew from the log" in caplog.text


async def test_files_that_are_damaged_while_they_are_used_are_made_anew(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    one = await bench.site("one")
    await one.own(0)
    others = [f"B{number}" for number in range(500)]  # so that files have several blocks
    assert await one.decide(0, bench.made(0, *others, "C1", "C2"))
    await bench.stop(one)
    again = await bench.site("one")
    await ready(again)
    await again.own(0)
    damage(bench.folder / "one" / "profiles", "*.sst", "garbled")
    now = datetime.now(timezone.utc)
    found, _ = again.profiles.read([paid("?", "C1").transaction], now)
    assert found.lag > 0
    assert found.known == [{}]
    await until_sent(again, {"C1": 1.0, "C2": 1.0, "C3": 0.0})
    assert "made anew from the log" in caplog.text
    assert await again.decide(0, bench.made(0, "C1"))
    assert again.sent()["C1"] == 2.0


async def until_sent(site: Site, expected: dict[str, float]) -> None:
    """As `until`, of profiles that cannot be read for a while."""

    def check() -> bool:
        now = datetime.now(timezone.utc)
        found, events = site.profiles.read([paid("?", "C1").transaction], now)
        if events is not None:
            site.folded.release(events)
        return found.known != [{}] and site.sent() == expected

    await eventually(check)


async def test_labels_are_counted_however_few_may_wait(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_labels, "MAX_WAITING", 1)
    one = await bench.site("one", FRAUD_PROFILE_LABEL_DELAY="1")
    await one.own(0)
    made = [each for _ in range(4) for each in bench.made(0, "C1", "C1")]
    assert await one.decide(0, made)
    for version, each in enumerate(made):
        record = told(each, 1, version, offset=version)
        new: list[NewRecord] = [(each.transaction_id.encode(), record.encoded, [])]
        topic = one.settings.labelled_topic
        await one.producer.append(topic, 0, iter(new), "labelling", divide=True)
    await eventually(lambda: {each["frauds"] for each in one.known().values()} == {4.0})
    assert one.folded.next_labelled(0) == len(made)


async def test_after_a_crash_the_rest_is_read_again(bench: Bench) -> None:
    one = await bench.site("one")
    await one.own(0)
    assert await one.decide(0, bench.made(0, "C1", "C2"))
    one.folded.write()
    one.folded.store._db.flush()
    assert await one.decide(0, bench.made(0, "C1"))
    shutil.copytree(bench.folder / "one" / "profiles", bench.folder / "killed" / "profiles")
    killed = await bench.site("killed")
    await until(killed, C1=2.0, C2=1.0)
    assert alike(killed, one)


async def test_what_is_on_disk_of_other_values_is_made_anew(bench: Bench) -> None:
    one = await bench.site("one")
    await one.own(0)
    assert await one.decide(0, bench.made(0, "C1"))
    await bench.stop(one)
    schema = bench.folder / "more.toml"
    schema.write_text(SCHEMA.replace("[profile]", '[profile]\nmore = "count(sender, 7d)"'))
    other = await bench.site("one", FRAUD_SCHEMA=str(schema))
    assert other.profiles._version != shop().profile_version
    await eventually(lambda: other.profiles.is_ready)
    (known,) = other.profiles.read([paid("?", "C1").transaction], datetime.now(timezone.utc))[
        0
    ].known
    assert known["more"] == known["sent"] == 1.0


def test_the_schema_has_to_declare_values(environment: dict[str, str], tmp_path: Path) -> None:
    settings = load({**environment, "FRAUD_SCHEMA": "paysim", "FRAUD_DATA_DIR": str(tmp_path)})
    with pytest.raises(ValueError, match="declares no values"):
        Profiles(settings, cast(Any, None), None)
