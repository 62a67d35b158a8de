"""Whatever follows a topic notices that the broker has lost its end, though it has grown again.

What was read last is compared with what the topic has there now, and not only where it ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timezone
from itertools import product
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.clients import new_consumer
from fraudapp.kafka.last_records import LastRecord, last_record, lost
from fraudapp.labels import lane
from fraudapp.settings import load
from tests.conftest import topics_of
from tests.integration import test_label_sinks, test_labels, test_profile_store
from tests.integration.test_profile_store import PARTITIONS, eventually
from tests.integration.test_truncated_log import broker, copies
from tests.servers import topics as broker_topics
from tests.servers.kafka import Kafka
from tests.servers.restored import Restorable
from tests.support import readback
from tests.support.decisions import id_in_partition
from tests.support.labels import in_labelled, is_exact, told
from tests.support.remembered import SCHEMA

__all__ = ["broker", "copies"]


@pytest.fixture
def environment(broker: Kafka, topics: dict[str, str], tmp_path: Path) -> dict[str, str]:
    (tmp_path / "shop.toml").write_text(SCHEMA)
    return {
        **topics,
        "FRAUD_BROKER_URL": broker.url,
        "FRAUD_TOPIC_PARTITIONS": str(PARTITIONS),
        "FRAUD_BROKER_FETCH_WAIT": "0.05",
    }


GROWN = (3, 5, 8)
"""Decisions in each partition of a log that has lost five of eight, and has grown again."""


async def test_profiles_of_a_log_that_was_cut_are_made_anew(
    environment: dict[str, str],
    copies: Restorable,
    tmp_path: Path,
    unique: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    schema = {"FRAUD_SCHEMA": str(tmp_path / "shop.toml")}
    benches = {
        (grown, runs): test_profile_store.Bench(
            {**environment, **topics_of(f"{unique}-{grown}-{runs}"), **schema},
            tmp_path / f"{grown}-{runs}",
        )
        for grown, runs in product(GROWN, ("", "runs"))
    }
    sites = {key: await bench.site("one") for key, bench in benches.items()}

    async def decide(
        bench: test_profile_store.Bench, site: test_profile_store.Site, customers: Sequence[str]
    ) -> None:
        for partition in range(PARTITIONS):
            assert await site.decide(partition, bench.made(partition, *customers))

    for key, bench in benches.items():
        await sites[key].own(*range(PARTITIONS))
        await decide(bench, sites[key], ["C1"] * 3)
    copies.copy()
    for (grown, runs), bench in benches.items():
        site = sites[grown, runs]
        await decide(bench, site, ["C2"] * 5)
        await eventually(lambda site=site: site.sent()["C2"] == 20)  # type: ignore[misc]
        if runs:  # and another one owns the partitions
            site.profiles.on_assigned([])
        else:
            await bench.stop(site)
    copies.put_back(*(bench.environment["FRAUD_DECISIONS_TOPIC"] for bench in benches.values()))
    for (grown, runs), bench in benches.items():
        other = await bench.site("other")
        await other.own(*range(PARTITIONS))
        await decide(bench, other, ["C3"] * (grown - 3 + 1))
        if runs:
            await sites[grown, runs].own(*range(PARTITIONS))
        else:
            sites[grown, runs] = await bench.site("one")
    for (grown, runs), bench in benches.items():
        site, expected = sites[grown, runs], {"C1": 12, "C2": 0, "C3": 4 * (grown - 2)}
        await eventually(lambda site=site, expected=expected: site.sent() == expected)  # type: ignore[misc]
        await site.own(*range(PARTITIONS))
        await decide(bench, site, ["C3"])
        await eventually(lambda site=site, c3=expected["C3"]: site.sent()["C3"] == c3 + 4)  # type: ignore[misc]
        assert site.sent() == {**expected, "C3": expected["C3"] + 4}, (grown, runs)
    assert caplog.text.count("profiles are made anew from the log") == len(benches)
    for bench in benches.values():
        await bench.stop()


@pytest.fixture
async def bench(environment: dict[str, str], tmp_path: Path) -> AsyncIterator[test_labels.Bench]:
    bench = test_labels.Bench(environment, tmp_path)
    await kafka_topics.ensure(bench.settings("any"))
    yield bench
    await bench.stop()


async def test_labels_of_topics_that_were_cut_are_joined_and_known_as_they_are_now(
    bench: test_labels.Bench, copies: Restorable
) -> None:
    every = range(PARTITIONS)
    one = await bench.site("one")
    await one.own(*every)
    ids = [f"t{number}" for number in range(60)]
    await one.decide(*ids)
    await bench.tell(*map(told, ids[:20]))
    await bench.is_exact(20)
    await one.joiner.stop()
    copies.copy()
    await bench.stop(one)
    one = await bench.site("one")
    await one.own(*every)
    await bench.tell(*map(told, ids[20:40]))
    await bench.is_exact(40)
    await test_labels.until(lambda: one.known.lag() == 0 and one.known.get(ids[39]))
    await bench.stop(one)
    copies.put_back(*(bench.environment["FRAUD_LABELS_TOPIC"], one.settings.labelled_topic))
    await bench.tell(*(told(id_, 0, "confirmed") for id_ in reversed(ids[40:])))
    await bench.tell(*map(told, ids[38:50]))
    # The one has read to these offsets before, and the other has not read anything.
    for name in ("one", "other"):
        site = await bench.site(name)
        await site.own(*every)
        await test_labels.until(lambda site=site: site.known.get(ids[59]))
        await bench.is_exact(42)
        await test_labels.until(lambda site=site: site.known.lag() == 0)
        known = {id_ for id_ in ids if site.known.get(id_)}
        assert known == {*ids[:20], *ids[38:]}, name
        await bench.stop(site)
    assert len(await in_labelled(bench.environment)) >= 42
    assert await is_exact(bench.environment, PARTITIONS)


async def test_what_was_sent_of_labels_and_is_lost_is_sent_again(
    bench: test_labels.Bench, copies: Restorable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("models.labels.joining.MARGIN_MS", 0)
    monkeypatch.setattr(lane, "CHECK_SECONDS", 0.1)
    every, nobody = range(PARTITIONS), id_in_partition(2, 0, PARTITIONS)
    one = await bench.site("one")
    await one.own(*every)
    await bench.tell(*map(told, ("t1", "t2", nobody)))
    await one.decide("t1")
    await bench.is_exact(1)
    await test_labels.until(lambda: sum(each.index.waiting for each in test_labels.lanes(one)) == 2)
    await bench.stop(one)
    copies.copy()
    one = await bench.site("one", FRAUD_LABEL_WAIT="1")
    for each in every:
        await one.log.ready(each, next(test_labels.Site.generations))
    await one.decide("t2", decided_at=datetime(2026, 1, 1, tzinfo=timezone.utc))
    await one.own(*every)
    assert await bench.dead_letters(1) == [("unknown-transaction", "2/0")]
    await bench.is_exact(2)
    await bench.stop(one)
    sent_to = one.settings.labelled_topic, one.settings.dead_letters_topic
    copies.put_back(*sent_to, "__consumer_offsets")
    assert not await readback.in_topic(bench.environment, "dead_letters")
    one = await bench.site("one", FRAUD_LABEL_WAIT="1")
    await one.own(*every)
    assert await bench.dead_letters(1) == [("unknown-transaction", "2/0")]
    await bench.is_exact(2)
    await bench.stop(one)


async def test_stores_get_the_labels_of_a_topic_that_was_cut(
    environment: dict[str, str], copies: Restorable, postgres_url: str, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    bench = test_label_sinks.Bench(
        {
            **environment,
            "FRAUD_TOPIC_PARTITIONS": str(test_label_sinks.PARTITIONS),
            "FRAUD_POSTGRES_URL": postgres_url,
            "FRAUD_ARCHIVE_URL": archive.as_uri(),
        },
        archive,
    )
    await kafka_topics.ensure(bench.settings)
    await bench.producer.start()
    for each in bench.observers.values():
        await each.start()
    await bench.label(*range(10))
    async with bench.keeping():
        await bench.kept()
    copies.copy()
    kept = [[*written] for written in bench.records]
    await bench.label(*range(10, 30))
    async with bench.keeping():
        await bench.kept()
    copies.put_back(bench.settings.labelled_topic)
    bench.records = kept
    # As many as were lost, under the offsets of those.
    await bench.label(*range(30, 50))
    async with bench.keeping():
        await test_label_sinks.until(lambda: _have_all(bench))
    await bench.check()
    for each in bench.observers.values():
        await each.stop()
    await bench.producer.stop()


async def _have_all(bench: test_label_sinks.Bench) -> bool:
    versions = {id_: each.version for id_, each in bench.known.items()}
    return await bench.rows() == bench.expected() and bench.newest_archived() == versions


@pytest.mark.parametrize("codec", [None, "zstd"])
async def test_a_last_record_is_recognised(
    broker: Kafka, unique: str, codec: str | None, tmp_path: Path
) -> None:
    settings = load({"FRAUD_BROKER_URL": broker.url, "FRAUD_DATA_DIR": str(tmp_path)})
    await broker_topics.create(broker.url, unique, 1)
    tp = TopicPartition(unique, 0)
    producer = AIOKafkaProducer(
        bootstrap_servers=broker.url.removeprefix("kafka://"),
        compression_type=codec,
        linger_ms=200,
        transactional_id=unique,
    )
    await producer.start()
    for aborts in (False, True, False):
        await producer.begin_transaction()
        await asyncio.gather(
            *[await producer.send(unique, b"%d" % each, partition=0) for each in range(5)]
        )
        await (producer.abort_transaction() if aborts else producer.commit_transaction())
    await producer.stop()
    consumer = new_consumer(settings)
    await consumer.start()
    try:
        await _are_recognised(consumer, tp, broker.url)
    finally:
        await consumer.stop()


async def _are_recognised(consumer: AIOKafkaConsumer, tp: TopicPartition, url: str) -> None:
    consumer.assign([tp])
    read: list[ConsumerRecord] = []
    while len(read) < 10:
        read += (await consumer.getmany(timeout_ms=1_000)).get(tp, [])

    async def shown(last: LastRecord) -> str | None:
        return await lost(consumer, tp.topic, {0: last})

    assert [await shown(last_record(each)) for each in read] == [None] * 10
    assert [each.offset for each in read] == [0, 1, 2, 3, 4, 12, 13, 14, 15, 16]
    other = LastRecord(13, last_record(read[5]).digest)
    assert await shown(other) == f"{tp.topic}/0 has another record at 13 than was read"
    aborted = LastRecord(7, last_record(read[1]).digest)
    assert await shown(aborted) == f"{tp.topic}/0 has no record at 7, where one was read"
    assert await shown(LastRecord(18, b"")) == f"{tp.topic}/0 ends at 18, and was read up to 19"
    assert [await shown(LastRecord(17, b""))] == [
        f"{tp.topic}/0 has no record at 17, where one was read"
    ]
    await broker_topics.cut_before(url, tp.topic, 0, 12)
    assert await shown(LastRecord(3, b"deleted")) is None
