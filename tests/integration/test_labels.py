"""What the labelled topic comes to follows from the labels and decisions alone."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from fraudapp.decisions.batch import Batch
from fraudapp.decisions.index import DecisionIndex
from fraudapp.decisions.log import DecisionLog
from fraudapp.decisions.recent import Unknowable
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.labels import lane
from fraudapp.labels.joiner import LabelJoiner
from fraudapp.labels.known import KnownLabels
from fraudapp.local.processes import POLL_INTERVAL
from fraudapp.local.server import Server
from fraudapp.settings import Settings, load
from models.key_hash import key_partitions
from models.labels.records import Source
from models.records import Decision
from tests.conftest import inherited_environment
from tests.support import readback
from tests.support.decisions import decision, id_in_partition
from tests.support.labels import in_labelled, is_exact, send_labels, told

PARTITIONS = 4
PATIENCE = 60.0


class Site:
    """A worker that joins labels, and decides what it is told to."""

    generations = count(1)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.producer = BatchProducer(settings)
        self.log = DecisionLog(settings, self.producer)
        self.known = KnownLabels(settings)
        self.joiner = LabelJoiner(settings, self.log, self.known)

    async def start(self) -> None:
        await self.producer.start()
        await self.log.open()
        await self.known.start()
        await self.joiner.start()

    async def own(self, *partitions: int) -> None:
        """Take these partitions over, and leave all others."""
        generation = next(self.generations)
        for each in partitions:
            await self.log.ready(each, generation)
        await self.joiner.assign(generation, partitions)

    async def decide(self, *ids: str, **changes: Any) -> None:
        """Append decisions on new ids, of partitions that are its own."""
        for partition in range(PARTITIONS):
            keyed = zip(ids, key_partitions(ids, PARTITIONS), strict=True)
            made = [decision(id_, **changes) for id_, there in keyed if there == partition]
            index = self.log.index(partition)
            while index and (new := _undecided(index, made)):
                if await self.log.append(partition, Batch(new), index.next_offset):
                    self.joiner.decided(partition, new)

    async def stop(self) -> None:
        await self.joiner.stop()
        await self.known.stop()
        await self.log.close()
        await self.producer.stop()


def _undecided(index: DecisionIndex, decisions: Iterable[Decision]) -> list[Decision]:
    found = index.find([each.transaction_id for each in decisions])
    return [each for each in decisions if each.transaction_id not in found]


class Bench:
    """Workers of one application."""

    def __init__(self, environment: dict[str, str], folder: Path) -> None:
        self.environment = environment
        self._folder = folder
        self._sites: list[Site] = []

    def settings(self, name: str, **changes: str) -> Settings:
        return load({**self.environment, "FRAUD_DATA_DIR": str(self._folder / name), **changes})

    async def site(self, name: str = "one", **changes: str) -> Site:
        site = Site(self.settings(name, **changes))
        self._sites.append(site)
        await site.start()
        return site

    async def stop(self, *sites: Site) -> None:
        for site in sites or [*self._sites]:
            self._sites.remove(site)
            await site.stop()

    async def tell(self, *messages: bytes | None, partition: int | None = None) -> None:
        """Put labels where their ids belong, or in a partition."""
        keyed = [(b"any" if each is None else _id(each), each) for each in messages]
        await send_labels(self.environment, keyed, partition)

    async def is_exact(self, labelled: int) -> None:
        """Return when so many ids have labels, and they are those that they have to have."""

        def check() -> bool:
            found = asyncio.run(in_labelled(self.environment))
            return len({each.key for each in found}) >= labelled and asyncio.run(
                is_exact(self.environment, PARTITIONS)
            )

        await readback.eventually(check)
        found = {each.key for each in await in_labelled(self.environment)}
        assert len(found) == labelled

    async def dead_letters(self, number: int) -> list[tuple[str, str]]:
        """Reason and origin of each, once there are so many."""

        def check() -> bool:
            return len(asyncio.run(readback.in_topic(self.environment, "dead_letters"))) >= number

        await readback.eventually(check)
        found = await readback.in_topic(self.environment, "dead_letters")
        assert len(found) == number
        texts = [{name: text.decode() for name, text in each.headers} for each in found]
        return sorted((each["reason"], f"{each['partition']}/{each['offset']}") for each in texts)


def _id(message: bytes) -> bytes | None:
    try:
        return str(json.loads(message)["transaction_id"]).encode()
    except ValueError:
        return None


async def until(check: Any) -> None:
    async def look() -> None:
        while not check():
            await asyncio.sleep(POLL_INTERVAL)

    await asyncio.wait_for(look(), PATIENCE)


@pytest.fixture
async def bench(kafka: Server, topics: dict[str, str], tmp_path: Path) -> AsyncIterator[Bench]:
    environment = {
        **topics,
        "FRAUD_BROKER_URL": kafka.url,
        "FRAUD_TOPIC_PARTITIONS": str(PARTITIONS),
    }
    bench = Bench(environment, tmp_path)
    await kafka_topics.ensure(bench.settings("any"))
    yield bench
    kafka.revive()
    await bench.stop()


async def test_labels_are_joined_and_known_everywhere(bench: Bench) -> None:
    one, other = await bench.site("one"), await bench.site("other")
    await one.own(0, 1)
    await other.own(2, 3)
    ids = [f"t{number}" for number in range(40)]
    await one.decide(*ids)
    await other.decide(*ids)
    await bench.tell(*(told(id_, number % 2) for number, id_ in enumerate(ids)))
    await bench.tell(*(told(id_, 0, "customer") for id_ in ids[:20]))
    await bench.tell(*(told(id_, True, "confirmed") for id_ in ids[:10]))
    await bench.is_exact(40)
    for site in (one, other):
        await until(lambda site=site: site.known.lag() == 0)
        await until(lambda site=site: len(site.known.get("t1").labels) == 3)
        found = site.known.get("t1")
        assert found is not None
        assert found.decision == decision("t1")
        assert (found.label, found.source) == (1, Source.CONFIRMED)
        assert site.known.get("nobody") is None
    assert one.joiner.troubles() == other.joiner.troubles() == one.known.troubles() == []


async def test_a_label_waits_for_its_decision(bench: Bench) -> None:
    site = await bench.site()
    await site.own(*range(PARTITIONS))
    early = [f"early{number}" for number in range(20)]
    await bench.tell(*(told(id_, 0, "customer") for id_ in early))
    await bench.tell(*(told(id_, 1, "analyst", by="bob") for id_ in early))
    await bench.tell(*(told(id_, 0, "analyst") for id_ in early))
    await until(lambda: sum(each.index.waiting for each in lanes(site)) == 40)
    assert await in_labelled(bench.environment) == []
    await site.decide(*early)
    await bench.is_exact(20)
    assert sum(each.index.waiting for each in lanes(site)) == 0


async def test_what_another_owner_decides_is_found_at_the_next_assignment(bench: Bench) -> None:
    one = await bench.site("one")
    await one.own(*range(PARTITIONS))
    await bench.tell(told("a"), told("b"), told("b", 0, "confirmed"))
    await until(lambda: sum(each.index.waiting for each in lanes(one)) == 3)
    await one.own()
    other = await bench.site("other")
    await other.log.ready(key_partitions(["a"], PARTITIONS)[0], next(Site.generations))
    await other.log.ready(key_partitions(["b"], PARTITIONS)[0], next(Site.generations))
    await other.decide("a", "b")
    assert await in_labelled(bench.environment) == []
    await one.own(*range(PARTITIONS))
    await bench.is_exact(2)


async def test_a_label_that_waits_too_long_becomes_one_dead_letter(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.labels.joining.MARGIN_MS", 0)
    monkeypatch.setattr(lane, "CHECK_SECONDS", 0.1)
    site = await bench.site(FRAUD_LABEL_WAIT="1")
    await site.own(*range(PARTITIONS))
    nobody = id_in_partition(2, 0, PARTITIONS)
    await bench.tell(told(nobody), told("t1"), told(nobody, 0, "customer"))
    await site.decide("t1")
    expected = [("unknown-transaction", "2/0"), ("unknown-transaction", "2/1")]
    assert await bench.dead_letters(2) == expected
    # Whoever reads all of it again knows that they were sent, and that they do not count.
    await bench.stop(site)
    new = await bench.site("new", FRAUD_LABEL_WAIT="1")
    await new.own(*range(PARTITIONS))
    await new.decide(nobody, decided_at=datetime.now(timezone.utc))
    await bench.tell(told("t1", 0, "confirmed"), told("t2"))
    await bench.is_exact(1)
    assert len(await bench.dead_letters(3)) == 3


async def test_bad_labels_are_dead_letters_and_misplaced_ones_are_sent_on(bench: Bench) -> None:
    site = await bench.site()
    await site.own(*range(PARTITIONS))
    ids = [id_in_partition(1, number, PARTITIONS) for number in range(3)]
    await site.decide(*ids)
    await bench.tell(told(ids[0]), told(ids[1], 0), partition=3)
    await bench.tell(b"no JSON", told(ids[2], 2), None, b"", partition=0)
    await send_labels(bench.environment, [(b"another key", told(ids[2]))])
    assert await bench.dead_letters(4) == [("invalid", f"0/{each}") for each in range(4)]
    await bench.is_exact(3)
    # Nothing is sent again by whoever reads all of it again.
    before = len(await readback.in_topic(bench.environment, "labels"))
    await bench.stop(site)
    new = await bench.site("new")
    await new.own(*range(PARTITIONS))
    await bench.tell(told(ids[0], 0, "confirmed"))
    await bench.is_exact(3)
    await until(lambda: len(lanes(new)) == PARTITIONS and all(each.index for each in lanes(new)))
    assert len(await bench.dead_letters(4)) == 4
    assert len(await readback.in_topic(bench.environment, "labels")) == before + 1


async def test_a_label_that_is_sent_on_twice_counts_where_it_came_first(bench: Bench) -> None:
    site = await bench.site()
    await site.own(1)
    (id_,) = (id_in_partition(1, 0, PARTITIONS),)
    await site.decide(id_)
    await bench.tell(told(id_, 1), partition=0)
    await site.own(0, 1)
    await bench.is_exact(1)
    await bench.tell(told(id_, 0))
    # A worker that does not know that it has lost the partition sends it on again.
    (first,) = [
        each for each in await readback.in_topic(bench.environment, "labels") if dict(each.headers)
    ]
    again = [(first.key, first.value, list(first.headers))]
    await site.producer.append(first.topic, 1, again, "testing")
    await bench.tell(told(id_, 1, "customer"))
    await until(lambda: (found := site.known.get(id_)) and Source.CUSTOMER in found.labels)
    await bench.is_exact(1)
    found = site.known.get(id_)
    assert found is not None
    assert (found.label, found.source) == (0, Source.ANALYST)


def lanes(site: Site) -> list[Any]:
    return [each for each in site.joiner._lanes.values() if each.index]


_KILLED = """
import asyncio, os, signal
from fraudapp.labels.index import LabelIndex
from fraudapp.settings import load
from tests.integration.test_labels import PARTITIONS, Site

LabelIndex.write = lambda *step: os.kill(os.getpid(), signal.SIGKILL)

async def join():
    site = Site(load({name: os.environ[name] for name in os.environ if name[:6] == "FRAUD_"}))
    await site.start()
    await site.own(*range(PARTITIONS))
    await asyncio.Event().wait()

asyncio.run(join())
"""


async def test_a_worker_that_dies_before_it_notes_what_it_has_written_does_no_harm(
    bench: Bench, tmp_path: Path
) -> None:
    site = await bench.site("deciding")
    await site.own(*range(PARTITIONS))
    ids = [f"t{number}" for number in range(30)]
    await site.decide(*ids)
    await bench.stop(site)
    await bench.tell(*(told(id_, 0) for id_ in ids), *(told(id_, 1, "confirmed") for id_ in ids))
    environment = {**inherited_environment(), **bench.environment}
    environment["FRAUD_DATA_DIR"] = str(tmp_path / "killed")
    for _ in range(2):
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", _KILLED], env=environment, timeout=PATIENCE
        )
        assert done.returncode == -signal.SIGKILL
    survivor = await bench.site("killed")
    await survivor.own(*range(PARTITIONS))
    await bench.is_exact(30)
    labelled = await in_labelled(bench.environment)
    assert len(labelled) > 30  # those that had been written when it died are there again
    await until(lambda: survivor.known.lag() == 0)
    found = [survivor.known.get(id_) for id_ in ids]
    assert {each.source for each in found if each} == {Source.CONFIRMED}


async def test_partitions_go_from_worker_to_worker_and_nothing_is_lost(bench: Bench) -> None:
    draw = random.Random(7)
    one, other = await bench.site("one"), await bench.site("other")
    ids = [f"t{number}" for number in range(200)]
    told_of: list[bytes] = []
    for turn in range(6):
        moved = draw.sample(range(PARTITIONS), 2)
        # Both own them for a moment, as when a worker was paused and does not know.
        await one.own(*(set(range(PARTITIONS)) - set(moved)) if turn % 2 else moved)
        new = ids[turn * 30 : turn * 30 + 30]
        told_of += [
            told(id_, draw.randint(0, 1), draw.choice([*Source]).value)
            for id_ in (*new, *draw.sample(ids[: turn * 30 + 40], 20))
        ]
        await bench.tell(*told_of[-50:])
        await one.decide(*new)
        await other.own(*moved if turn % 2 else set(range(PARTITIONS)) - set(moved))
        await other.decide(*new)
        await bench.tell(*draw.sample(told_of, 10), partition=draw.randrange(PARTITIONS))
    await one.own()
    await other.own(*range(PARTITIONS))
    await other.decide(*ids[180:])
    labelled = {json.loads(each)["transaction_id"] for each in told_of}
    await bench.is_exact(len(labelled))
    for site in (one, other):
        await until(lambda site=site: site.known.lag() == 0)
    for id_ in labelled:
        assert one.known.get(id_) == other.known.get(id_) is not None


async def test_what_no_worker_can_have_written_is_passed_over(bench: Bench) -> None:
    site = await bench.site()
    await site.own(*range(PARTITIONS))
    await site.decide("a")
    await bench.tell(told("a"))
    await bench.is_exact(1)
    (good,) = await in_labelled(bench.environment)
    topic, other = site.settings.labelled_topic, (good.partition + 1) % PARTITIONS
    newer = good.value.replace(b'"version":0', b'"version":9').replace(b'"offset":0', b'"offset":9')
    assert newer != good.value
    await site.producer.append(topic, other, [(b"a", newer, [])], "testing")
    junk: list[tuple[bytes | None, bytes | None]] = [
        (b"b", newer),
        (None, newer),
        (b"a", None),
        (b"a", b"{}"),
        (b"a", good.value.replace(b'"version":0', b'"version":9')),
        (b"a", newer.replace(b"+00:00", b"+01:00").replace(b'Z","topic', b'+01:00","topic')),
    ]
    new: list[NewRecord] = [(key, value, []) for key, value in junk]
    offsets = await site.producer.append(topic, good.partition, new, "testing")
    await asyncio.wait_for(site.known.read_to(good.partition, offsets[-1] + 1), PATIENCE)
    await asyncio.wait_for(site.known.read_to(other, 1), PATIENCE)
    found = site.known.get("a")
    assert found is not None
    assert found.version == 0
    assert site.known.get("b") is None
    # The markers of transactions are no records either, and nobody waits for them.
    async with (
        AIOKafkaProducer(
            bootstrap_servers=site.settings.bootstrap_servers, transactional_id=topic
        ) as producer,
        producer.transaction(),
    ):
        await producer.send_and_wait(topic, newer, key=b"a", partition=good.partition)
    await until(lambda: site.known.lag() == 0)
    await until(lambda: (now := site.known.get("a")) and now.version == 9)


async def test_what_is_damaged_is_made_anew(bench: Bench) -> None:
    site = await bench.site()
    await site.own(*range(PARTITIONS))
    await site.decide("a")
    await bench.tell(told("a"))
    await until(lambda: site.known.get("a"))
    for each in lanes(site):
        each.index._db.close()
    assert site.known.store is not None
    site.known.store._db.close()
    with pytest.raises(Unknowable):
        site.known.get("a")
    await site.decide("b")
    await bench.tell(told("a", 0, "confirmed"), told("b"))
    await bench.is_exact(2)
    await until(lambda: is_known(site, "a") and is_known(site, "b"))


async def test_a_broker_that_is_away_is_waited_for(bench: Bench, kafka: Server) -> None:
    site = await bench.site()
    await site.own(*range(PARTITIONS))
    await site.decide("a", "b")
    await bench.tell(told("a"))
    await until(lambda: site.known.get("a"))
    await asyncio.to_thread(kafka.kill)
    await asyncio.to_thread(kafka.restart)
    await bench.tell(told("b"), told("a", 0, "confirmed"))
    await bench.is_exact(2)
    await until(lambda: not site.joiner.troubles() and not site.known.troubles())


def is_known(site: Site, id_: str) -> bool:
    try:
        return site.known.get(id_) is not None
    except Unknowable:
        return False
