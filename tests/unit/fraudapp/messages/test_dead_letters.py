"""Dead letters are read up to where their topic ends, and replayed from where a replay ended."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import OffsetAndMetadata

from fraudapp.messages import dead_letters
from fraudapp.messages.dead_letter import DeadLetter
from fraudapp.messages.dead_letter_replay import Replayed
from fraudapp.messages.dead_letters import read_all, read_one, replay_new
from fraudapp.settings import Settings, load
from tests.support.memory import MemoryBroker
from tests.support.memory_clients import MemoryConsumer

PARTITIONS = 2
ID = "id-of-the-topic"


class Queue:
    """The dead-letter topic, a client of it, and what was replayed of it."""

    def __init__(self) -> None:
        self.settings = load({})
        self.topic = self.settings.dead_letters_topic
        self.broker = MemoryBroker({self.topic: PARTITIONS})
        self.consumer = MemoryConsumer(self.broker)
        self.groups: list[str | None] = []
        """The group of each consumer that was asked for."""
        self.batches: list[list[bytes | None]] = []
        """The raw bytes of each batch that was replayed."""
        self.failure: Exception | None = None
        """What a replay raises."""

    def put(self, *values: bytes, partition: int = 0, reason: str = "invalid") -> None:
        for value in values:
            self.broker.put(self.topic, partition, value, headers=[("reason", reason.encode())])

    def tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self.topic, partition)

    def committed(self) -> dict[int, tuple[int, str]]:
        return {
            tp.partition: (each.offset, each.metadata) for tp, each in self.consumer.commits.items()
        }

    @asynccontextmanager
    async def started(
        self, settings: Settings, group: str | None = None, **options: Any
    ) -> AsyncIterator[MemoryConsumer]:
        assert settings is self.settings
        self.groups.append(group)
        await self.consumer.start()
        try:
            yield self.consumer
        finally:
            await self.consumer.stop()

    async def topic_ids(self, client: object, topics: Iterable[str]) -> dict[str, str]:
        return dict.fromkeys(topics, ID)

    async def replay(self, settings: Settings, letters: Sequence[DeadLetter]) -> Replayed:
        if self.failure is not None:
            raise self.failure
        self.batches.append([each.raw for each in letters])
        refused = [each.name for each in letters if each.raw == b"refused"]
        return Replayed(len(letters) - len(refused), refused)


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    queue = Queue()
    monkeypatch.setattr(dead_letters, "started_consumer", queue.started)
    monkeypatch.setattr(dead_letters, "ends", queue.consumer.ends)
    monkeypatch.setattr(dead_letters, "topic_ids", queue.topic_ids)
    monkeypatch.setattr(dead_letters, "replay", queue.replay)
    return queue


async def all_of(queue: Queue) -> list[bytes | None]:
    return [each.raw async for each in read_all(queue.settings)]


async def test_all_dead_letters_of_all_partitions_are_read(queue: Queue) -> None:
    queue.put(b"a", b"b")
    queue.put(b"c", partition=1)
    assert await all_of(queue) == [b"a", b"b", b"c"]
    assert queue.groups == [None]
    assert not queue.consumer.running


async def test_an_empty_topic_has_no_dead_letters(queue: Queue) -> None:
    assert await all_of(queue) == []
    assert await read_one(queue.settings, 0, 0) is None


async def test_what_comes_after_the_call_is_not_read(queue: Queue) -> None:
    queue.put(b"a", b"b")
    found = []
    async for each in read_all(queue.settings):
        found.append(each.raw)
        queue.put(b"later")
        queue.put(b"later", partition=1)
    assert found == [b"a", b"b"]


async def test_an_open_transaction_ends_what_is_read(queue: Queue) -> None:
    queue.put(b"a", b"b", b"c")
    queue.consumer.stable[queue.tp(0)] = 2
    assert await all_of(queue) == [b"a", b"b"]
    assert await read_one(queue.settings, 0, 2) is None


async def test_offsets_without_a_record_are_skipped(queue: Queue) -> None:
    queue.put(b"a", b"marker", b"b", b"marker")
    queue.consumer.hidden |= {(queue.tp(0), 1), (queue.tp(0), 3)}
    assert await all_of(queue) == [b"a", b"b"]
    assert await read_one(queue.settings, 0, 1) is None


async def test_one_dead_letter_is_read_at_its_position(queue: Queue) -> None:
    queue.put(b"a", b"b", b"c", partition=1)
    found = await read_one(queue.settings, 1, 1)
    assert found is not None
    assert (found.raw, found.name) == (b"b", "1:1")
    for partition, offset in ((1, 3), (0, 0), (PARTITIONS, 0)):
        assert await read_one(queue.settings, partition, offset) is None


async def test_a_replay_goes_on_where_the_last_one_ended(queue: Queue) -> None:
    queue.put(b"a", b"b")
    first = await replay_new(queue.settings, None)
    assert (first.sent, first.refused) == (2, [])
    queue.put(b"c")
    queue.put(b"d", partition=1)
    assert await replay_new(queue.settings, None) == Replayed(2, [], remembered=True)
    assert queue.batches == [[b"a", b"b"], [b"c"], [b"d"]]
    assert await replay_new(queue.settings, None) == Replayed(0, [], remembered=True)
    assert queue.committed() == {0: (3, ID), 1: (1, ID)}


async def test_a_broker_that_has_forgotten_the_end_is_reported(queue: Queue) -> None:
    queue.put(b"a")
    assert await replay_new(queue.settings, None) == Replayed(1, [], remembered=False)
    queue.consumer.commits.clear()
    assert await replay_new(queue.settings, None) == Replayed(1, [], remembered=False)


async def test_of_an_empty_partition_nothing_can_be_forgotten(queue: Queue) -> None:
    assert await replay_new(queue.settings, None) == Replayed(0, [], remembered=True)


async def test_the_end_in_an_earlier_topic_of_that_name_does_not_count(queue: Queue) -> None:
    queue.put(b"a", b"b")
    queue.consumer.commits[queue.tp(0)] = OffsetAndMetadata(1, "id-of-an-earlier-topic")
    assert await replay_new(queue.settings, None) == Replayed(2, [], remembered=False)


async def test_one_that_is_refused_is_reported_and_not_tried_again(queue: Queue) -> None:
    queue.put(b"a", b"refused", b"b")
    queue.put(b"refused", partition=1)
    done = await replay_new(queue.settings, None)
    assert (done.sent, done.refused) == (2, ["0:1", "1:0"])
    assert (await replay_new(queue.settings, None)).refused == []


async def test_of_one_reason_only_those_are_replayed_and_their_end_is_a_group_of_its_own(
    queue: Queue,
) -> None:
    queue.put(b"a")
    queue.put(b"b", reason="unscored")
    queue.put(b"c")
    await replay_new(queue.settings, "unscored")
    assert queue.batches == [[b"b"]]
    assert queue.committed()[0] == (3, ID)
    await replay_new(queue.settings, None)
    assert queue.groups == [
        f"{queue.settings.app_id}-dead-letters-replay-unscored",
        f"{queue.settings.app_id}-dead-letters-replay-all",
    ]


async def test_a_replay_that_fails_is_tried_again_from_the_same_place(queue: Queue) -> None:
    queue.put(b"a")
    queue.put(b"b", partition=1)
    queue.failure = KafkaConnectionError("gone")
    with pytest.raises(KafkaConnectionError):
        await replay_new(queue.settings, None)
    assert queue.committed() == {}
    assert not queue.consumer.running
    queue.failure = None
    assert (await replay_new(queue.settings, None)).sent == 2


async def test_batches_are_bounded_by_number_and_by_bytes(
    queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "MAX_BATCH", 3)
    monkeypatch.setattr(dead_letters, "MAX_BATCH_BYTES", 10)
    values = [b"a", b"b", b"c", b"d", b"x" * 10, b"e", b"x" * 8, b"f", b"g"]
    queue.put(*values)
    assert (await replay_new(queue.settings, None)).sent == len(values)
    assert queue.batches == [values[:3], values[3:5], values[5:8], values[8:]]
