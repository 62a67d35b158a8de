"""A topic that was made anew ends the worker, and new partitions are reported once."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncIterator, Collection
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, UnknownTopicOrPartitionError

from fraudapp.kafka.topic_ids import TopicRemade
from fraudapp.kafka.topic_watch import WATCH_INTERVAL, TopicWatch
from fraudapp.settings import load
from tests.support.memory import MemoryBroker

PARTITIONS = 2


class Broker(MemoryBroker):
    """A broker whose topics can be made anew, and which tells of new partitions when asked."""

    def __init__(self, topics: Collection[str]) -> None:
        super().__init__(dict.fromkeys(topics, PARTITIONS))
        self.ids = {topic: f"id-of-{topic}" for topic in topics}
        self.failures: deque[Exception] = deque()
        """What the next questions raise, one each."""
        self._seen = dict.fromkeys(topics, PARTITIONS)

    async def topic_ids(self, topics: Collection[str], *, wait: bool = False) -> dict[str, str]:
        if self.failures:
            raise self.failures.popleft()
        return {topic: self.ids[topic] for topic in topics if topic in self.ids}

    async def partitions(self, topic: str, *, afresh: bool = False) -> int:
        """Return the number that was seen last, as a client does from its metadata."""
        if afresh:
            self._seen[topic] = await super().partitions(topic)
        return self._seen[topic]


class Bench:
    """A `TopicWatch` that checks when the test says so."""

    def __init__(self) -> None:
        self.settings = load({"FRAUD_TOPIC_PARTITIONS": str(PARTITIONS)})
        self.inputs = self.settings.transactions_topic
        self.decisions = self.settings.decisions_topic
        self.broker = Broker([self.inputs, self.decisions])
        self.ended: list[TopicRemade] = []
        producer: Any = self.broker
        self.watch = TopicWatch(self.settings, producer, self.ended.append)
        patched: Any = self.watch
        patched.itertimer = self._once

    async def check(self) -> None:
        """Let the timer fire once."""
        await TopicWatch._check(self.watch)

    async def _once(self, interval: float, **options: Any) -> AsyncIterator[float]:
        assert interval == WATCH_INTERVAL
        yield interval


@pytest.fixture
async def bench() -> Bench:
    bench = Bench()
    await bench.watch.on_start()
    return bench


async def test_the_start_notes_ids_and_partitions(bench: Bench) -> None:
    assert bench.watch.ids == bench.broker.ids
    assert bench.watch.partitions == PARTITIONS


async def test_a_start_without_a_broker_is_an_error() -> None:
    bench = Bench()
    bench.broker.failures.append(KafkaConnectionError("gone"))
    with pytest.raises(KafkaConnectionError):
        await bench.watch.on_start()


async def test_while_nothing_changes_nothing_is_reported(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.check()
    assert bench.watch.problem is None
    assert bench.ended == []
    assert caplog.text == ""


@pytest.mark.parametrize("name", ["inputs", "decisions"])
async def test_a_topic_that_was_made_anew_ends_the_worker(bench: Bench, name: str) -> None:
    topic = getattr(bench, name)
    bench.broker.ids[topic] = "another"
    await bench.check()
    (reason,) = bench.ended
    assert str(reason).startswith(f"topic {topic} was deleted and made anew")


async def test_a_topic_made_anew_with_more_partitions_is_no_topic_with_new_ones(
    bench: Bench,
) -> None:
    bench.broker.ids[bench.inputs] = "another"
    bench.broker.topics[bench.inputs].append([])
    await bench.check()
    assert len(bench.ended) == 1
    assert bench.watch.problem is None


@pytest.mark.parametrize(("before", "now"), [("", "another"), ("id", ""), ("", "")])
async def test_a_broker_without_topic_ids_does_not_end_the_worker(before: str, now: str) -> None:
    bench = Bench()
    bench.broker.ids[bench.decisions] = before
    await bench.watch.on_start()
    bench.broker.ids[bench.decisions] = now
    await bench.check()
    assert bench.ended == []


async def test_a_topic_that_was_deleted_does_not_end_the_worker_before_it_is_made_anew(
    bench: Bench,
) -> None:
    del bench.broker.ids[bench.decisions]
    await bench.check()
    assert bench.ended == []
    bench.broker.ids[bench.decisions] = "another"
    await bench.check()
    assert len(bench.ended) == 1


async def test_new_partitions_are_reported_once(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.broker.topics[bench.inputs].append([])
    await bench.check()
    first = bench.watch.problem
    assert first is not None
    assert f"topic {bench.inputs} had 2 partitions when this worker started, and has 3" in first
    assert "leave FRAUD_TOPIC_PARTITIONS at 2" in first
    bench.broker.topics[bench.inputs].append([])
    await bench.check()
    assert bench.watch.problem == first
    critical = [each for each in caplog.records if each.levelno == logging.CRITICAL]
    assert [each.getMessage() for each in critical] == [first]
    assert bench.ended == []


async def test_new_partitions_of_the_decisions_topic_are_not_reported(bench: Bench) -> None:
    bench.broker.topics[bench.decisions].append([])
    await bench.check()
    assert bench.watch.problem is None


@pytest.mark.parametrize("failure", [KafkaConnectionError, UnknownTopicOrPartitionError])
async def test_a_broker_that_does_not_answer_is_asked_again(
    bench: Bench, failure: type[Exception]
) -> None:
    bench.broker.failures.append(failure())
    bench.broker.topics[bench.inputs].append([])
    await bench.check()
    assert bench.watch.problem is None
    await bench.check()
    assert bench.watch.problem is not None
