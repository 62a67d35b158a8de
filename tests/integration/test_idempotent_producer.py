"""A batch whose confirmation is lost is in the topic once, whoever sends it again."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiokafka.errors import (
    IncompatibleBrokerVersion,
    KafkaConnectionError,
    KafkaError,
    UnknownError,
)
from aiokafka.protocol.produce import ProduceRequest
from aiokafka.protocol.transaction import InitProducerIdRequest

from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.idempotence import PRODUCER_STATE_LOST, TOO_LARGE
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.local.server import Server
from fraudapp.settings import Settings, load
from tests.servers.topics import delete
from tests.support.readback import in_topic

TOPIC = "dead_letters"


@pytest.fixture
async def settings(kafka: Server, topics: dict[str, str]) -> Settings:
    settings = load({**topics, "FRAUD_BROKER_URL": kafka.url})
    await kafka_topics.ensure(settings)
    return settings


@pytest.fixture
async def producer(settings: Settings) -> AsyncIterator[BatchProducer]:
    producer = BatchProducer(settings)
    await producer.start()
    yield producer
    await producer.stop()


class Losing:
    """Loses some confirmations of a broker on their way, or lets it refuse a batch."""

    def __init__(self, producer: BatchProducer) -> None:
        client = producer._producer.client
        self._send = client.send
        client.send = self.send
        self.lose: Callable[[], KafkaError | None] = lambda: None
        self.refuse: Callable[[], KafkaError | None] = lambda: None

    async def send(self, node: int, request: Any, **options: Any) -> Any:
        if isinstance(request, ProduceRequest) and (refused := self.refuse()):
            raise refused
        answer = await self._send(node, request, **options)
        if isinstance(request, ProduceRequest) and (lost := self.lose()):
            raise lost
        return answer


def records(*names: str) -> list[NewRecord]:
    return [(name.encode(), b"value", []) for name in names]


async def kept(settings: Settings) -> list[str]:
    environment = {
        "FRAUD_BROKER_URL": settings.broker_url,
        "FRAUD_DEAD_LETTERS_TOPIC": settings.dead_letters_topic,
    }
    return [each.key.decode() for each in await in_topic(environment, TOPIC) if each.partition == 0]


@pytest.mark.parametrize(
    "failure", [KafkaConnectionError, UnknownError], ids=["aiokafka_retries", "we_retry"]
)
async def test_a_batch_whose_confirmation_is_lost_is_appended_once(
    producer: BatchProducer, settings: Settings, failure: type[KafkaError]
) -> None:
    topic, losing = settings.dead_letters_topic, Losing(producer)
    assert await producer.append(topic, 0, records("a", "b"), "testing") == [0, 1]
    losses = iter([failure(), failure()])
    losing.lose = lambda: next(losses, None)
    assert await producer.append(topic, 0, records("c", "d"), "testing") == [2, 3]
    assert await producer.append(topic, 0, records("e"), "testing") == [4]
    assert await kept(settings) == ["a", "b", "c", "d", "e"]


async def test_of_several_batches_only_what_is_not_confirmed_is_sent_again(
    producer: BatchProducer, settings: Settings
) -> None:
    losing = Losing(producer)
    answers = iter([None, UnknownError(), None, UnknownError()])
    losing.lose = lambda: next(answers, None)
    large: list[NewRecord] = [(f"{n}".encode(), bytes(300_000), []) for n in range(10)]
    offsets = await producer.append(settings.dead_letters_topic, 0, large, "testing", divide=True)
    assert offsets == list(range(10))
    assert await kept(settings) == [str(n) for n in range(10)]


async def test_what_nobody_waited_for_is_not_taken_for_what_comes_next(
    producer: BatchProducer, settings: Settings
) -> None:
    topic, losing = settings.dead_letters_topic, Losing(producer)
    losing.lose = KafkaConnectionError
    given_up = asyncio.create_task(producer.append(topic, 0, records("a"), "testing"))
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(given_up, 1.0)
    losing.lose = lambda: None
    await producer.append(topic, 0, records("b"), "testing")
    assert (await kept(settings))[-1] == "b"


@pytest.mark.parametrize("before", [0, 1])
@pytest.mark.parametrize("why", PRODUCER_STATE_LOST)
async def test_a_broker_that_has_forgotten_what_it_knew_gets_it_under_another_identity(
    producer: BatchProducer, settings: Settings, why: type[KafkaError], before: int
) -> None:
    topic, losing = settings.dead_letters_topic, Losing(producer)
    names = ["a", "b", "c"]
    for name in names[:before]:
        await producer.append(topic, 0, records(name), "testing")
    answers = iter([why()])
    losing.refuse = lambda: next(answers, None)
    for name in names[before:]:
        await producer.append(topic, 0, records(name), "testing")
    assert await kept(settings) == names
    sequence = producer._sequence(topic, 0)
    # One that refuses the very first batch may want it to be number zero.
    assert (sequence._next == len(names)) == (before == 0)


async def test_numbers_begin_again_after_the_last(
    producer: BatchProducer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("random.randrange", lambda end: end - 3)
    for number in range(5):
        (first, _) = await producer.append(
            settings.dead_letters_topic, 0, records(f"{number}", f"{number}'"), "testing"
        )
        assert first == 2 * number
    assert producer._sequence(settings.dead_letters_topic, 0)._next == 7


async def test_what_is_too_large_costs_no_identity(
    producer: BatchProducer, settings: Settings
) -> None:
    topic = settings.dead_letters_topic
    await producer.append(topic, 0, records("a"), "testing")
    before = producer._sequence(topic, 0)._producer
    large: list[NewRecord] = [(b"large", os.urandom(18_000_000), [])]
    with pytest.raises(TOO_LARGE):
        await producer.append(topic, 0, large, "testing")
    await producer.append(topic, 0, records("b"), "testing")
    assert producer._sequence(topic, 0)._producer == before
    assert await kept(settings) == ["a", "b"]


async def test_appends_to_one_partition_keep_their_order_and_their_offsets(
    producer: BatchProducer, settings: Settings
) -> None:
    topic, losing = settings.dead_letters_topic, Losing(producer)
    turns = iter(range(1_000))
    losing.lose = lambda: UnknownError() if next(turns) % 3 == 1 else None
    names = [f"r{number}" for number in range(12)]
    offsets = await asyncio.gather(
        *(producer.append(topic, 0, records(name), "testing") for name in names)
    )
    found = await kept(settings)
    assert sorted(found) == sorted(names)
    assert [found[offset] for (offset,) in offsets] == names


async def test_a_topic_that_is_made_anew_takes_what_comes(
    producer: BatchProducer, settings: Settings
) -> None:
    topic = settings.dead_letters_topic
    for name in "abc":
        await producer.append(topic, 0, records(name), "testing")
    await delete(settings.broker_url, topic)
    await kafka_topics.ensure(settings)
    await producer.append(topic, 0, records("d"), "testing")
    assert await kept(settings) == ["d"]


async def test_a_broker_that_knows_no_batch_again_takes_them_all_the_same(
    producer: BatchProducer, settings: Settings
) -> None:
    client = producer._producer.client
    send = client.send

    async def refused(node: int, request: Any, **options: Any) -> Any:
        if isinstance(request, InitProducerIdRequest):
            raise IncompatibleBrokerVersion("InitProducerId")
        return await send(node, request, **options)

    client.send = refused
    assert await producer.append(settings.dead_letters_topic, 0, records("a"), "testing") == [0]
    assert await kept(settings) == ["a"]
