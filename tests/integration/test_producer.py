"""The real producer of batches keeps the contract that the broker of unit tests keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.local.server import Server
from fraudapp.settings import load
from tests.contracts.producer import PARTITIONS, Place, ProducerContract
from tests.servers.topics import configure, create
from tests.support.readback import in_topic


class TestBatchProducer(ProducerContract):
    @pytest.fixture
    async def place(self, kafka: Server, topics: dict[str, str]) -> AsyncIterator[Place]:
        environment = {**topics, "FRAUD_BROKER_URL": kafka.url}
        topic = topics["FRAUD_DEAD_LETTERS_TOPIC"]
        await create(kafka.url, topic, PARTITIONS)
        producer = BatchProducer(load(environment))
        await producer.start()

        async def read(partition: int) -> list[NewRecord]:
            records = await in_topic(environment, "dead_letters")
            return [
                (each.key, each.value, list(each.headers))
                for each in records
                if each.partition == partition
            ]

        async def limit(size: int) -> None:
            await configure(kafka.url, topic, {"max.message.bytes": str(size)})

        yield Place(producer, topic, read, limit)
        await producer.stop()
