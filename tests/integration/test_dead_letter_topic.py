"""The dead-letter topic: its configuration, and foreign records in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import date, datetime, timezone
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import MessageSizeTooLargeError

from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.clients import client_options
from fraudapp.kafka.producer import BatchProducer, NewRecord, max_dead_letter_bytes
from fraudapp.local.server import Server
from fraudapp.messages.dead_letter import DeadLetter
from fraudapp.messages.dead_letters import read_all
from fraudapp.messages.publish import publish_dead_letters
from fraudapp.reports import from_kafka
from fraudapp.settings import Settings, load
from fraudapp.sinks.postgres.day_partitions import moments
from models.inputs import Input, Position, Rejection

LIMIT = 500_000  # FRAUD_MAX_MESSAGE_BYTES
DAY = moments(date(2026, 3, 1))
NOON = int(datetime(2026, 3, 1, 12, tzinfo=timezone.utc).timestamp() * 1_000)


@pytest.fixture
def settings(kafka: Server, topics: dict[str, str]) -> Settings:
    return load(
        {**topics, "FRAUD_BROKER_URL": kafka.url, "FRAUD_MAX_MESSAGE_BYTES": str(LIMIT)},
    )


@pytest.fixture
async def admin(settings: Settings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**client_options(settings))
    await admin.start()
    yield admin
    await admin.close()


@pytest.fixture
async def producer(settings: Settings) -> AsyncIterator[BatchProducer]:
    producer = BatchProducer(settings)
    await producer.start()
    yield producer
    await producer.stop()


async def make_topic(admin: AIOKafkaAdminClient, settings: Settings, **configs: str) -> None:
    named = {name.replace("_", "."): value for name, value in configs.items()}
    topic = NewTopic(settings.dead_letters_topic, 4, 1, topic_configs=named)
    await admin.create_topics([topic])


def overhead(producer: BatchProducer, size: int) -> int:
    """Bytes of a batch beside the value of its one record."""
    batch = producer._producer.create_batch()
    batch.append(key=None, value=b"x" * size, timestamp=NOON, headers=[])
    batch.close()
    return int(batch.size()) - size


async def test_the_topic_that_is_made_takes_the_largest_record_and_no_larger_is_sent(
    settings: Settings, producer: BatchProducer
) -> None:
    await kafka_topics.ensure(settings)
    largest = max_dead_letter_bytes(settings) - overhead(producer, max_dead_letter_bytes(settings))
    for size in (largest - 1, largest):
        record: NewRecord = (None, b"x" * size, [])
        assert await producer.append(settings.dead_letters_topic, 0, [record], "testing")
    record = (None, b"x" * (largest + 1), [])
    with pytest.raises(MessageSizeTooLargeError):
        await producer.append(settings.dead_letters_topic, 0, [record], "testing")


async def test_a_topic_that_cuts_dead_letters_is_logged_with_the_repair_command(
    settings: Settings, admin: AIOKafkaAdminClient, caplog: pytest.LogCaptureFixture
) -> None:
    needed = max_dead_letter_bytes(settings)
    assert needed == 2 * LIMIT + 64_000
    await make_topic(admin, settings, max_message_bytes=str(needed - 1))
    await kafka_topics.ensure(settings)
    assert "larger dead letters are cut" in caplog.text
    assert f"--entity-name {settings.dead_letters_topic} " in caplog.text
    assert f"--add-config max.message.bytes={needed}" in caplog.text


async def test_topics_that_take_enough_are_not_warned_of(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    await kafka_topics.ensure(settings)  # makes it
    await kafka_topics.ensure(settings)  # finds it as it was made
    await kafka_topics.ensure(settings.model_copy(update={"max_message_bytes": LIMIT // 2}))
    assert "dead letters are cut" not in caplog.text


@pytest.mark.parametrize(
    "configs", [{"max_message_bytes": "20000"}, {"segment_bytes": "1048576"}], ids=str
)
async def test_a_topic_that_takes_less_gets_cut_dead_letters_and_neighbours_once(
    settings: Settings, admin: AIOKafkaAdminClient, producer: BatchProducer, configs: dict[str, str]
) -> None:
    await make_topic(admin, settings, **{"max_message_bytes": "2000000", **configs})
    sizes = [10, 15_000, 19_000, 20_000, 99_999, 100_001, 1_048_000, 1_049_000, 500, 1_060_000]
    rejections = [
        Rejection(_input(number, b"x" * size), "invalid", "detail")
        for number, size in enumerate(sizes)
    ]
    await publish_dead_letters(producer, settings.dead_letters_topic, rejections)
    dead_letters = [dead_letter async for dead_letter in read_all(settings)]
    assert sorted(dead_letter.source for dead_letter in dead_letters) == sorted(
        f"0:{number}" for number in range(len(sizes))
    )
    for dead_letter in dead_letters:
        size = sizes[int(dead_letter.source[2:])]
        assert dead_letter.cut == (len(dead_letter.raw or b"") < size)
        assert dead_letter.lost.get("raw-bytes", str(size)) == str(size)
        assert dead_letter.cut or size < 1_048_576
        assert not dead_letter.cut or size >= 19_000


async def test_dead_letters_of_a_day_are_counted_among_foreign_stamps_and_headers(
    settings: Settings, admin: AIOKafkaAdminClient
) -> None:
    # As older brokers take any; newer ones refuse what is an hour ahead, unless told otherwise.
    await make_topic(admin, settings, message_timestamp_after_max_ms=str(2**63 - 1))
    ours = [("reason", b"invalid")]
    records: list[tuple[int, list[tuple[str, Any]]]] = [
        (2**62, ours),
        (NOON, ours),
        (-1, ours),
        (NOON, [("reason", None)]),
        (NOON - 86_400_000, ours),
        (NOON, [("reason", b"conflict"), ("reason", b"\xff\x00")]),
        (2**63 - 1, []),
        (0, []),
        (NOON, [("reason", b"conflict")]),
    ]
    producer = AIOKafkaProducer(**client_options(settings))
    await producer.start()
    for fingerprint, headers in records:
        batch = producer.create_batch()
        batch.append(key=None, value=None, timestamp=fingerprint, headers=headers)
        batch.close()
        await (await producer.send_batch(batch, settings.dead_letters_topic, partition=0))
    await producer.stop()
    counted = await asyncio.wait_for(from_kafka.dead_letters(settings, *DAY), 60)
    assert counted == {"unknown": 2, "conflict": 1, "invalid": 1}
    dead_letters: list[DeadLetter] = [dead_letter async for dead_letter in read_all(settings)]
    assert len(dead_letters) == len(records)


def _input(offset: int, raw: bytes) -> Input:
    position = Position("transactions", 0, offset)
    return Input(None, raw, position, position)
