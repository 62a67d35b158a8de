"""Topics are made so that they lose nothing, and refused where they would."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from fraudapp.decisions.batch import encode
from fraudapp.decisions.log import DecisionLog
from fraudapp.decisions.log_records import LogRecord
from fraudapp.decisions.reader import LogReader
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.producer import BatchProducer
from fraudapp.kafka.topic_configs import BROKERS_CLOCK, KEPT_WHOLE, LATEST_KEPT
from fraudapp.settings import Settings, load
from models.key_hash import key_partitions
from models.records import Decision
from tests.servers.choice import required
from tests.servers.kafka import Kafka
from tests.servers.topics import (
    add_partitions,
    configuration_of,
    configure,
    create,
    partitions_of,
)
from tests.support.decisions import decision

EAGER = {"segment.ms": "50", "min.cleanable.dirty.ratio": "0.001", "delete.retention.ms": "0"}


@pytest.fixture
def settings(kafka: Kafka, topics: dict[str, str], tmp_path: Path) -> Settings:
    if not isinstance(kafka, Kafka):
        assert not required()
        pytest.skip("only Apache Kafka compacts topics")
    return load({**topics, "FRAUD_BROKER_URL": kafka.url, "FRAUD_DATA_DIR": str(tmp_path)})


async def test_the_first_of_two_decisions_under_an_id_survives_the_cleaner(
    settings: Settings, kafka: Kafka, unique: str
) -> None:
    await kafka_topics.ensure(settings)
    witness = f"{unique}-witness"
    await create(kafka.url, witness, 1, cleanup_policy="compact")
    for topic in (witness, settings.decisions_topic):
        await configure(kafka.url, topic, EAGER)
    pair = [decision("x", score=0.9), decision("x", score=0.1, offset=7)]
    (key_partition,) = key_partitions(["x"], settings.topic_partitions)
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as sender:
        for each in pair:
            await sender.send_and_wait(
                settings.decisions_topic, encode(each), key=b"x", partition=key_partition
            )
            await sender.send_and_wait(witness, encode(each), key=b"x")
        deadline = time.monotonic() + 120
        while await _first_offset(settings, witness, 0) == 0:  # until the cleaner has come by
            assert time.monotonic() < deadline
            for topic, partition in ((witness, 0), (settings.decisions_topic, key_partition)):
                await sender.send_and_wait(topic, b"{}", key=b"filler", partition=partition)
            await asyncio.sleep(0.1)
    await _a_new_index_has_the_first(settings, key_partition, pair)


async def _a_new_index_has_the_first(
    settings: Settings, key_partition: int, pair: list[Decision]
) -> None:
    producer = BatchProducer(settings)
    await producer.start()
    log = DecisionLog(settings, producer)
    await log.open()
    reader = LogReader(settings, "set-back")
    await reader.start()
    try:
        index = await log.ready(key_partition, generation=1)
        assert index.find(["x"]) == {"x": pair[0]}
        read: list[LogRecord] = []
        async for records in reader.read(key_partition, 0, index.next_offset):
            read += records
        assert [each.decision for each in read] == pair
        assert index.first(read) == [pair[0], pair[0]]
        # A sink set back beyond the first, or a log that has lost it, gets what counts too.
        assert index.first(read[1:]) == [pair[0]]
    finally:
        await reader.stop()
        await log.close()
        await producer.stop()


async def _first_offset(settings: Settings, topic: str, partition: int) -> int:
    """Offset of the first record that a partition still has."""
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        where = TopicPartition(topic, partition)
        consumer.assign([where])
        await consumer.seek_to_beginning(where)
        return int((await consumer.getone(where)).offset)


async def test_topics_are_made_as_they_are_demanded(settings: Settings, kafka: Kafka) -> None:
    await kafka_topics.ensure(settings)
    found = await configuration_of(kafka.url, settings.decisions_topic)
    assert KEPT_WHOLE.items() <= found.items()
    assert BROKERS_CLOCK.items() <= found.items()
    dead_letters = await configuration_of(kafka.url, settings.dead_letters_topic)
    assert BROKERS_CLOCK.items() <= dead_letters.items()
    progress = await configuration_of(kafka.url, settings.progress_topic)
    assert (LATEST_KEPT | BROKERS_CLOCK).items() <= progress.items()
    assert await partitions_of(kafka.url, settings.progress_topic) == 1
    await kafka_topics.ensure(settings)  # and are what they should be


@pytest.mark.parametrize(
    ("topic", "option", "value"),
    [
        ("decisions", "cleanup.policy", "compact"),
        ("decisions", "cleanup.policy", "compact,delete"),
        ("decisions", "retention.ms", "604800000"),
        ("decisions", "retention.bytes", "1000000"),
        ("decisions", "max.message.bytes", "10000"),
        ("dead-letters", "cleanup.policy", "compact"),
        ("decision-counts-changelog", "cleanup.policy", "delete"),
        ("partition-reports-changelog", "cleanup.policy", "compact,delete"),
        ("quality-changelog", "cleanup.policy", "delete"),
        ("watch-changelog", "cleanup.policy", "delete"),
        ("labels", "cleanup.policy", "compact"),
        ("labelled", "retention.ms", "604800000"),
        ("progress", "cleanup.policy", "delete"),
        ("progress", "cleanup.policy", "compact,delete"),
    ],
)
async def test_a_topic_from_which_something_would_be_lost_is_refused_with_the_command(
    settings: Settings, kafka: Kafka, topic: str, option: str, value: str
) -> None:
    await kafka_topics.ensure(settings)
    name = f"{settings.app_id}-{topic}"
    if topic.endswith("changelog"):
        await create(kafka.url, name, settings.topic_partitions, cleanup_policy="compact")
        await kafka_topics.ensure(settings)
    await configure(kafka.url, name, {option: value})
    with pytest.raises(kafka_topics.TopicsMisfit, match=f"topic {name} is set to") as caught:
        await kafka_topics.ensure(settings)
    command = str(caught.value)
    assert f"{option}={value}" in command
    assert "--bootstrap-server" in command
    (repaired,) = re.findall(r"--entity-name \S+ --add-config (\S+)$", command)
    await configure(kafka.url, name, dict(pair.split("=") for pair in repaired.split(",")))
    await kafka_topics.ensure(settings)


@pytest.mark.parametrize(
    ("option", "value"), [("cleanup.policy", "compact"), ("max.message.bytes", "9000000")]
)
async def test_a_topic_that_only_costs_something_is_warned_of(
    settings: Settings,
    kafka: Kafka,
    option: str,
    value: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await kafka_topics.ensure(settings)
    await configure(kafka.url, settings.transactions_topic, {option: value})
    await kafka_topics.ensure(settings)
    assert f"topic {settings.transactions_topic} is set to {option}={value}" in caplog.text


async def test_partitions_added_to_the_log_in_use_are_left_alone(
    settings: Settings, kafka: Kafka
) -> None:
    await kafka_topics.ensure(settings)
    await add_partitions(kafka.url, settings.decisions_topic, 6)
    with pytest.raises(kafka_topics.TopicsMisfit, match="set it to 6"):
        await kafka_topics.ensure(settings)  # nothing tells that it had fewer
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as sender:
        await sender.send_and_wait(settings.decisions_topic, b"x", partition=2)
    await kafka_topics.ensure(settings)
    async with AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers) as sender:
        await sender.send_and_wait(settings.decisions_topic, b"x", partition=5)
    with pytest.raises(kafka_topics.TopicsMisfit, match="set it to 6"):
        await kafka_topics.ensure(settings)


async def test_an_input_with_fewer_partitions_than_the_log_is_refused_with_the_command(
    settings: Settings, kafka: Kafka
) -> None:
    await create(kafka.url, settings.transactions_topic, 2)
    with pytest.raises(kafka_topics.TopicsMisfit, match=r"--alter --topic \S+ --partitions 4"):
        await kafka_topics.ensure(settings)
    await add_partitions(kafka.url, settings.transactions_topic, 4)
    await kafka_topics.ensure(settings)
