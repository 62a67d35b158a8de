"""The broker of unit tests keeps the contract of the real producer; it also holds and fails."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.errors import KafkaConnectionError, ProducerClosed

from fraudapp.kafka.producer import NewRecord
from tests.contracts.producer import PARTITIONS, Place, ProducerContract, records
from tests.support.memory import MemoryBroker, until

TOPIC = "topic"


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker({TOPIC: PARTITIONS})


@pytest.fixture
def place(broker: MemoryBroker) -> Place:
    async def read(partition: int) -> list[NewRecord]:
        return [(e.key, e.value, list(e.headers)) for e in broker.topics[TOPIC][partition]]

    async def limit(size: int) -> None:
        broker.limits[TOPIC] = size

    return Place(broker, TOPIC, read, limit)


class TestMemoryBroker(ProducerContract):
    pass


async def test_what_is_held_is_appended_when_it_goes_on_and_holds_up_no_other(
    broker: MemoryBroker, place: Place
) -> None:
    broker.hold(TOPIC, 0)
    held = asyncio.create_task(place.append(*records(2)))
    await broker.held(TOPIC, 0)
    assert await place.append(*records(1), partition=1) == [0]
    assert await place.read(0) == []
    broker.go_on(TOPIC, 0)
    assert await held == [0, 1]


async def test_what_may_pass_is_tried_again_and_told_meanwhile(
    broker: MemoryBroker, place: Place
) -> None:
    broker.grace_seconds = 0.0
    failure = KafkaConnectionError("gone")
    broker.fail(TOPIC, 0, failure, failure)  # after the first one nothing is waited for
    appending = asyncio.create_task(place.append(*records(1)))
    await until(broker.troubles)
    (trouble,) = broker.troubles()
    assert f"testing whether it appends in {TOPIC}/0: KafkaConnectionError: gone" in trouble
    assert await appending == [0]
    assert broker.troubles() == []
    assert await place.read(0) == records(1)


async def test_what_does_not_pass_is_raised(broker: MemoryBroker, place: Place) -> None:
    broker.fail(TOPIC, 0, ProducerClosed())
    with pytest.raises(ProducerClosed):
        await place.append(*records(1))
    assert await place.read(0) == []
    assert await place.append(*records(1)) == [0]
