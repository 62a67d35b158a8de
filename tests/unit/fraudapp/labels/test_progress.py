"""What owners have done with a partition is told by the offsets of a group, of this topic alone."""

from __future__ import annotations

from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from aiokafka.structs import OffsetAndMetadata

from fraudapp.labels import progress as progresses
from fraudapp.labels.progress import Done, Progress
from tests.support.labels import read_to
from tests.support.memory import MemoryBroker
from tests.support.memory_clients import MemoryConsumer

TOPIC = "labels"


@pytest.fixture
def consumer() -> MemoryConsumer:
    return MemoryConsumer(MemoryBroker({TOPIC: 2}))


def progress(consumer: MemoryConsumer, topic_id: str = "one") -> Progress:
    made = Progress(cast("Any", consumer), TOPIC)
    made.topic_id = topic_id
    return made


async def test_what_is_committed_is_found(consumer: MemoryConsumer) -> None:
    assert await progress(consumer).of(1) == Done(None, 0)
    await progress(consumer).commit({0: Done(read_to(9), 4), 1: Done(read_to(2), 2)})
    assert await progress(consumer).of(0) == Done(read_to(9), 4)
    assert await progress(consumer, "").of(1) == Done(read_to(2), 2)
    assert await progress(consumer, "of a topic made anew").of(0) == Done(None, 0)


@pytest.mark.parametrize("metadata", ["", "{}", "one", '{"topic_id":"one","settled":-1}'])
async def test_the_commit_of_somebody_else_is_none(consumer: MemoryConsumer, metadata: str) -> None:
    consumer.commits[TopicPartition(TOPIC, 0)] = OffsetAndMetadata(9, metadata)
    assert await progress(consumer).of(0) == Done(None, 0)


async def test_what_has_not_changed_is_committed_once_an_hour(
    consumer: MemoryConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 5.0
    monkeypatch.setattr(progresses, "monotonic", lambda: now)
    made = progress(consumer)
    await made.commit({0: Done(read_to(9), 4)})
    for later, is_committed in ((4.0, False), (progresses.AGAIN_SECONDS + 6, True)):
        consumer.commits.clear()
        now = later
        await made.commit({0: Done(read_to(9), 4)})
        assert bool(consumer.commits) == is_committed


async def test_a_commit_that_fails_is_noted_and_tried_again(
    consumer: MemoryConsumer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(offsets: object) -> None:
        raise KafkaConnectionError("gone")

    made = progress(consumer)
    with monkeypatch.context() as broken:
        broken.setattr(consumer, "commit", fails)
        await made.commit({0: Done(read_to(9), 4)})
    assert "gone" in str(made.committing.reason)
    await made.commit({0: Done(read_to(9), 4)})
    assert made.committing.reason is None
    assert await progress(consumer).of(0) == Done(read_to(9), 4)
