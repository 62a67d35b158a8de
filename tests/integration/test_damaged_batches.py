"""A stored batch that the disk has changed costs its own records only."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from aiokafka import TopicPartition

from fraudapp.decisions.batch import encode
from fraudapp.decisions.log_records import LogRecord
from fraudapp.decisions.reader import LogDamaged, LogReader
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.clients import started_consumer
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.local.server import Server
from fraudapp.settings import Settings, load
from models.key_hash import key_partitions
from models.parsing import Damaged
from tests.support.decisions import decision

PATIENCE = 60.0
BATCHES, HELD = 4, 10


@pytest.fixture
async def settings(kafka: Server, topics: dict[str, str], tmp_path: Path) -> Settings:
    """Those of an application with two partitions, whose topics are there."""
    settings = load(
        {
            **topics,
            "FRAUD_BROKER_URL": kafka.url,
            "FRAUD_DATA_DIR": str(tmp_path),
            "FRAUD_TOPIC_PARTITIONS": "2",
        }
    )
    await kafka_topics.ensure(settings)
    return settings


async def fill(settings: Settings, topic: str) -> None:
    """Append batches of decisions to both partitions, each where it belongs."""
    ids = [f"t{number}" for number in range(4 * BATCHES * HELD)]
    placed = key_partitions(ids, 2)
    producer = BatchProducer(settings)
    await producer.start()
    for number in range(2):
        own = [
            each
            for each, each_partition in zip(ids, placed, strict=True)
            if each_partition == number
        ]
        for start in range(0, BATCHES * HELD, HELD):
            held = own[start : start + HELD]
            records: list[NewRecord] = [(e.encode(), encode(decision(e)), []) for e in held]
            await producer.append(topic, number, records, "filling")
    await producer.stop()


def change(kafka: Server, topic: str, batch: int) -> None:
    """Flip a bit in the last record of a batch of partition 1, on the broker's disk."""
    (segment,) = (kafka.folder / "data" / f"{topic}-1").glob("*.log")
    content = segment.read_bytes()
    end = 0
    for _ in range(batch + 1):
        end += 12 + int.from_bytes(content[end + 8 : end + 12], "big")
    with segment.open("r+b") as file:
        file.seek(end - 20)
        file.write(bytes([content[end - 20] ^ 1]))


@pytest.mark.parametrize("batch", [0, 2, BATCHES - 1])
async def test_all_else_is_read_of_its_partition_and_of_every_other(
    kafka: Server, settings: Settings, batch: int
) -> None:
    topic = settings.transactions_topic
    await fill(settings, topic)
    change(kafka, topic, batch)
    found: dict[int, list[tuple[int, bool]]] = {0: [], 1: []}
    async with started_consumer(settings) as consumer:
        consumer.assign([TopicPartition(topic, number) for number in found])

        async def read() -> None:
            while any(len(each) < BATCHES * HELD for each in found.values()):
                for partition, records in (await consumer.getmany(timeout_ms=200)).items():
                    told = [(each.offset, type(each.value) is Damaged) for each in records]
                    found[partition.partition] += told

        await asyncio.wait_for(read(), PATIENCE)
    damaged = range(batch * HELD, (batch + 1) * HELD)
    assert found[0] == [(offset, False) for offset in range(BATCHES * HELD)]
    assert found[1] == [(offset, offset in damaged) for offset in range(BATCHES * HELD)]


async def test_the_log_of_decisions_is_read_up_to_it_and_never_past_it(
    kafka: Server, settings: Settings
) -> None:
    topic = settings.decisions_topic
    await fill(settings, topic)
    change(kafka, topic, 2)
    reader = LogReader(settings)
    await reader.start()

    async def read(start: int) -> None:
        async for records in reader.read(1, start, BATCHES * HELD):
            found.extend(records)

    for start in (0, 15):
        found: list[LogRecord] = []
        with pytest.raises(LogDamaged, match=f"{topic}/1/20 is damaged"):
            await read(start)
        assert [each.offset for each in found] == [*range(start, 20)]
    await reader.stop()
