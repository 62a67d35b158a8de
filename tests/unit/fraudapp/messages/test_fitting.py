"""A message is appended whole, or in the largest form that its topic takes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    MessageSizeTooLargeError,
    ProducerClosed,
    RecordListTooLargeError,
)
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.kafka.producer import MAX_PRODUCER_BATCH_BYTES, NewRecord, size_of
from fraudapp.messages.fitting import Message, append_fitting
from tests.support.memory import MemoryBroker

TOPIC = "topic"
WHAT = "testing whether it fits"


def record(name: str, size: int = 0) -> NewRecord:
    return name.encode(), b"v" * size, []


def message(name: str, *sizes: int) -> Message:
    """A message of the first size, with smaller forms of the other sizes."""
    whole, *smaller = (record(name, size) for size in sizes)
    return Message(whole, lambda: iter(smaller))


def room_for(name: str, size: int) -> int:
    """The limit of a topic that takes a record of this size, and none that is larger."""
    return size_of(record(name, size))


async def append(broker: MemoryBroker, *messages: Message, partition: int = 0) -> list[Message]:
    producer: Any = broker
    return await append_fitting(producer, TOPIC, partition, messages, WHAT)


def appended(broker: MemoryBroker, partition: int = 0) -> list[tuple[bytes | None, int]]:
    """The key of each record, and how long its value is."""
    return [(each.key, len(each.value)) for each in broker.topics[TOPIC][partition]]


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker({TOPIC: 2})


async def test_messages_that_the_topic_takes_are_appended_whole_in_their_order(
    broker: MemoryBroker,
) -> None:
    def never() -> Iterator[NewRecord]:
        raise AssertionError("the topic takes it whole")

    headers = [("name", b"content")]
    messages = [Message((b"a", None, headers), never), Message((None, b"bc", []), never)]
    assert await append(broker, *messages, partition=1) == []
    records = broker.topics[TOPIC][1]
    assert [(each.key, each.value) for each in records] == [(b"a", None), (None, b"bc")]
    assert [list(each.headers) for each in records] == [headers, []]
    assert appended(broker, 0) == []


async def test_of_the_smaller_forms_the_largest_that_the_topic_takes_is_appended(
    broker: MemoryBroker,
) -> None:
    broker.limits[TOPIC] = room_for("a", 100)
    assert await append(broker, message("a", 900, 101, 100, 99)) == []
    assert appended(broker) == [(b"a", 100)]


async def test_a_message_that_the_topic_takes_in_no_form_is_returned_and_holds_up_no_other(
    broker: MemoryBroker,
) -> None:
    broker.limits[TOPIC] = room_for("a", 100)
    hopeless, bare = message("b", 900, 500), message("d", 101)
    messages = [message("a", 10), hopeless, message("c", 900, 20), bare, message("e", 30)]
    assert await append(broker, *messages) == [hopeless, bare]
    assert appended(broker) == [(b"a", 10), (b"c", 20), (b"e", 30)]


@pytest.mark.parametrize("error", [MessageSizeTooLargeError, RecordListTooLargeError])
async def test_a_batch_that_is_refused_as_too_large_is_divided(
    broker: MemoryBroker, error: type[Exception]
) -> None:
    broker.fail(TOPIC, 0, error())
    assert await append(broker, message("a", 1), message("b", 2), message("c", 3)) == []
    assert appended(broker) == [(b"a", 1), (b"b", 2), (b"c", 3)]


async def test_an_error_that_is_not_about_the_size_is_raised(broker: MemoryBroker) -> None:
    broker.fail(TOPIC, 0, ProducerClosed())
    with pytest.raises(ProducerClosed):
        await append(broker, message("a", 2, 1))
    assert appended(broker) == []


async def test_an_error_that_may_pass_does_not_make_a_message_smaller(
    broker: MemoryBroker,
) -> None:
    broker.fail(TOPIC, 0, KafkaConnectionError())
    assert await append(broker, message("a", 2, 1)) == []
    assert appended(broker) == [(b"a", 2)]


class Counting(MemoryBroker):
    """A broker that records how many bytes each call brings."""

    def __init__(self) -> None:
        super().__init__({TOPIC: 1})
        self.sizes: list[int] = []

    async def append(self, topic: str, partition: int, records: Any, *rest: Any, **options: Any):  # type: ignore[no-untyped-def]
        whole = list(records)
        self.sizes.append(sum(map(size_of, whole)))
        return await super().append(topic, partition, whole, *rest, **options)


async def test_messages_are_appended_in_batches_of_limited_size() -> None:
    broker = Counting()
    third = MAX_PRODUCER_BATCH_BYTES // 3
    sizes = [third, third, third, 2 * MAX_PRODUCER_BATCH_BYTES, 1, 1]
    assert await append(broker, *(message(str(n), size) for n, size in enumerate(sizes))) == []
    assert [size for _, size in appended(broker)] == sizes
    assert (
        sum(size > MAX_PRODUCER_BATCH_BYTES for size in broker.sizes) == 1
    )  # the one that is larger alone
    assert len(broker.sizes) == 4


@given(
    st.lists(st.lists(st.integers(0, 60), min_size=1, max_size=4), max_size=12),
    st.integers(size_of(record("00")), size_of(record("00", 70))),
)
async def test_each_message_is_there_once_in_its_largest_form_or_returned(
    sizes: list[list[int]], limit: int
) -> None:
    broker = MemoryBroker({TOPIC: 1})
    broker.limits[TOPIC] = limit
    messages = [message(f"{n:02}", *each) for n, each in enumerate(sizes)]
    expected: list[tuple[bytes | None, int]] = []
    hopeless = []
    for each, forms in zip(messages, sizes, strict=True):
        name = (each.whole[0] or b"").decode()
        fitting = [size for size in forms if room_for(name, size) <= limit]
        if fitting:
            expected.append((each.whole[0], fitting[0]))
        else:
            hopeless.append(each)
    assert await append(broker, *messages) == hopeless
    assert appended(broker) == expected
