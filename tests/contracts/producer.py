"""What a `BatchProducer` promises to those who append with it.

A module of tests provides the fixture `place`: a producer, and a topic with four partitions that
nothing is in yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Any, Final, Protocol

import pytest
from aiokafka.errors import MessageSizeTooLargeError

from fraudapp.kafka.producer import NewRecord

PARTITIONS: Final = 4
LIMIT: Final = 16_384
"""Bytes of a batch that a topic takes which takes little."""


class Producer(Protocol):
    """What others ask of a `BatchProducer`."""

    async def partitions(self, topic: str, *, afresh: bool = False) -> int: ...
    async def partitions_with_retry(self, topic: str, what: str) -> int: ...
    async def topic_ids(self, topics: Collection[str], *, wait: bool = False) -> dict[str, str]: ...
    def troubles(self) -> list[str]: ...
    async def append(
        self,
        topic: str,
        partition: int,
        records: Iterable[NewRecord],
        what: str,
        *,
        divide: bool = False,
    ) -> list[int]: ...


@dataclass
class Place:
    """A topic, and what is to append to it."""

    producer: Producer
    topic: str
    read: Callable[[int], Awaitable[list[NewRecord]]]
    """Returns all that is in a partition."""
    limit: Callable[[int], Awaitable[None]]
    """Lets the topic take no batch of more bytes."""

    async def append(self, *records: NewRecord, partition: int = 0, **options: Any) -> list[int]:
        return await self.producer.append(
            self.topic, partition, records, "testing whether it appends", **options
        )


def records(count: int, size: int = 1, name: str = "r") -> list[NewRecord]:
    return [(f"{name}{each}".encode(), b"v" * size, []) for each in range(count)]


class ProducerContract:
    """Tests of any producer of batches."""

    async def test_records_are_appended_as_they_are_and_in_their_order(self, place: Place) -> None:
        first: list[NewRecord] = [
            (b"key", b"value", [("name", b"text"), ("name", b"again"), ("empty", b"")]),
            (None, b"without a key", []),
            (b"without a value", None, []),
            (b"", b"", []),
        ]
        assert await place.append(*first) == [0, 1, 2, 3]
        assert await place.append(*records(2)) == [4, 5]
        assert await place.append(*records(1), partition=1) == [0]
        assert await place.read(0) == [*first, *records(2)]
        assert await place.read(1) == records(1)
        assert await place.read(2) == []
        assert place.producer.troubles() == []

    async def test_an_empty_batch_appends_nothing(self, place: Place) -> None:
        assert await place.append() == []
        assert await place.append(divide=True) == []
        assert await place.read(0) == []

    async def test_what_is_appended_at_once_is_there_once_each_in_its_order(
        self, place: Place
    ) -> None:
        several = [records(50, name=name) for name in "abc"]
        offsets = await asyncio.gather(*(place.append(*each) for each in several))
        there = await place.read(0)
        assert len(there) == 150
        for each, found in zip(several, offsets, strict=True):
            assert [there[offset] for offset in found] == each

    async def test_more_than_a_topic_takes_at_once_is_divided_only_if_that_is_wanted(
        self, place: Place
    ) -> None:
        await place.limit(LIMIT)
        many = records(100, size=LIMIT // 20)
        with pytest.raises(MessageSizeTooLargeError):
            await place.append(*many)
        assert await place.read(0) == []
        assert await place.append(*many, divide=True) == list(range(100))
        assert await place.append(*records(3)) == [100, 101, 102]
        assert await place.read(0) == [*many, *records(3)]

    @pytest.mark.parametrize("divide", [False, True])
    async def test_a_record_that_is_too_large_by_itself_is_refused(
        self, place: Place, divide: bool
    ) -> None:
        await place.limit(LIMIT)
        with pytest.raises(MessageSizeTooLargeError):
            await place.append(*records(1, size=2 * LIMIT), divide=divide)
        assert await place.read(0) == []
        assert await place.append(*records(1), divide=divide) == [0]

    async def test_it_knows_topics_and_how_many_partitions_they_have(self, place: Place) -> None:
        producer, topic = place.producer, place.topic
        assert await producer.partitions(topic) == PARTITIONS
        assert await producer.partitions(topic, afresh=True) == PARTITIONS
        assert await producer.partitions_with_retry(topic, "testing") == PARTITIONS
        ids = await producer.topic_ids([topic], wait=True)
        assert list(ids) == [topic]
        missing = f"{topic}-that-there-is-not"
        assert await producer.topic_ids([topic, missing]) == ids
