"""aiokafka's consumer and admin client in memory, for unit tests of the modules that use them.

Both work on the topics of a `MemoryBroker`. They connect nowhere, and never wait for time to pass.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from types import SimpleNamespace
from typing import Any

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource
from aiokafka.errors import NoError, TopicAlreadyExistsError, UnknownTopicOrPartitionError
from aiokafka.structs import OffsetAndMetadata

from fraudapp.kafka.offsets import ANSWER_TIMEOUT, End
from tests.support.memory import PATIENCE, Gates, MemoryBroker


class MemoryConsumer:
    """As much of a consumer as the application uses that is assigned partitions by hand."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.running = False
        self.failures: deque[Exception] = deque()
        """What the next polls raise, one each."""
        self.end_failures: deque[Exception] = deque()
        """What the next questions for ends raise, one each."""
        self.hidden: set[tuple[TopicPartition, int]] = set()
        """Offsets that hold no record for a reader, such as the markers of transactions."""
        self.stable: dict[TopicPartition, int] = {}
        """Last stable offsets of partitions; of others it is the high water."""
        self.commits: dict[TopicPartition, OffsetAndMetadata] = {}
        """Committed offsets of the group, with their metadata."""
        self.gates = Gates()
        """Closed at a partition, they hold up whoever asks for its end."""
        self._broker = broker
        self._positions: dict[TopicPartition, int] = {}
        self._paused: set[TopicPartition] = set()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._client = SimpleNamespace(
            _wait_on_metadata=self._partitions_of, force_metadata_update=self._nothing
        )
        self._coordinator = SimpleNamespace(fetch_committed_offsets=self._committed)

    async def delivered(self) -> None:
        """Return once the application has polled all records that are there, and polls again."""
        self._idle.clear()
        self._wake.set()
        await asyncio.wait_for(self._idle.wait(), PATIENCE)

    async def ends(
        self, consumer: object, partitions: Iterable[TopicPartition], within: float = ANSWER_TIMEOUT
    ) -> dict[TopicPartition, End]:
        """Stand in for `fraudapp.kafka.offsets.ends`."""
        assert consumer is self
        found = {}
        for tp in partitions:
            await self.gates.passed(tp.partition)
            if self.end_failures:
                raise self.end_failures.popleft()
            high_water = len(self._broker.topics[tp.topic][tp.partition])
            found[tp] = End(high_water, self.stable.get(tp, high_water))
        return found

    async def start(self) -> None:
        """Connect to nothing."""
        self.running = True

    async def stop(self) -> None:
        """Disconnect from nothing."""
        self.running = False

    def assign(self, partitions: Iterable[TopicPartition]) -> None:
        """Follow these partitions, and no others."""
        self._positions = dict.fromkeys(partitions, 0)
        self._paused.clear()

    def assignment(self) -> frozenset[TopicPartition]:
        """Return the partitions that are assigned."""
        return frozenset(self._positions)

    def pause(self, *partitions: TopicPartition) -> None:
        """Let polls leave out these partitions."""
        assert self.assignment() >= set(partitions)
        self._paused |= set(partitions)

    def paused(self) -> set[TopicPartition]:
        """Return the partitions that polls leave out."""
        return set(self._paused)

    def resume(self, *partitions: TopicPartition) -> None:
        """Let polls return records of these partitions again."""
        assert self.assignment() >= set(partitions)
        self._paused -= set(partitions)

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Let the next poll begin at an offset."""
        assert partition in self._positions
        self._positions[partition] = offset

    async def position(self, partition: TopicPartition) -> int:
        """Return the offset at which the next poll begins."""
        return self._positions[partition]

    async def commit(self, offsets: Mapping[TopicPartition, OffsetAndMetadata]) -> None:
        """Commit offsets."""
        self.commits.update(offsets)

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> dict[TopicPartition, list[ConsumerRecord]]:
        """Return the next records; if there are none, wait for the next call of `delivered`."""
        if self.failures:
            raise self.failures.popleft()
        chosen = partitions or tuple(self._positions)
        if (found := self._fetch(chosen, max_records)) is None:
            self._idle.set()
            await self._wake.wait()
            self._wake.clear()
            self._idle.clear()
            found = self._fetch(chosen, max_records)
        return found or {}

    def _fetch(
        self, partitions: Iterable[TopicPartition], max_records: int | None
    ) -> dict[TopicPartition, list[ConsumerRecord]] | None:
        """Move on, and return the records that were passed; None at the end of all partitions."""
        found: dict[TopicPartition, list[ConsumerRecord]] = {}
        moved = False
        for tp in partitions:
            if tp in self._paused:
                continue
            begin = self._positions[tp]
            raw = self._broker.topics[tp.topic][tp.partition][begin:][:max_records]
            self._positions[tp] += len(raw)
            moved = moved or bool(raw)
            if records := [each for each in raw if (tp, each.offset) not in self.hidden]:
                found[tp] = records
        return found if moved else None

    async def _partitions_of(self, topic: str) -> set[int]:
        return set(range(len(self._broker.topics[topic])))

    async def _committed(
        self, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        return {each: self.commits[each] for each in partitions if each in self.commits}

    async def _nothing(self) -> None:
        pass


class MemoryAdmin:
    """As much of an admin client as the application uses."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.running = False
        self.configs: dict[str, dict[str, str]] = {}
        """Configuration of topics, by their names."""
        self.created: list[NewTopic] = []
        self.failures: deque[Exception] = deque()
        """What the next attempts to connect raise, one each."""
        self.codes: dict[str, int] = {}
        """Error codes with which the broker answers for these topics."""
        self.unanswered: Exception | None = None
        """What a question for configurations raises."""
        self._broker = broker

    async def start(self) -> None:
        """Connect to nothing."""
        if self.failures:
            raise self.failures.popleft()
        self.running = True

    async def close(self) -> None:
        """Disconnect from nothing."""
        self.running = False

    async def list_topics(self) -> list[str]:
        """Return the names of all topics."""
        return list(self._broker.topics)

    async def create_topics(self, new_topics: list[NewTopic]) -> Any:
        """Create topics, or answer with the error code of each."""
        errors: list[tuple[str, int, str | None]] = []
        for topic in new_topics:
            code = self.codes.get(topic.name, NoError.errno)
            if topic.name in self._broker.topics:
                code = TopicAlreadyExistsError.errno
            if code == NoError.errno:
                self.created.append(topic)
                self._broker.topics[topic.name] = [[] for _ in range(topic.num_partitions)]
                self.configs[topic.name] = dict(topic.topic_configs)
            errors.append((topic.name, code, None))
        return SimpleNamespace(topic_errors=errors)

    async def describe_topics(self, topics: Collection[str]) -> list[dict[str, Any]]:
        """Return name and partitions of each topic."""
        return [
            {"topic": name, "partitions": [{} for _ in self._broker.topics.get(name, ())]}
            for name in topics
        ]

    async def describe_configs(self, config_resources: list[ConfigResource]) -> list[Any]:
        """Return the configuration of each topic, or the error code of one that is missing."""
        if self.unanswered is not None:
            raise self.unanswered
        answers: list[tuple[Any, ...]] = []
        for each in config_resources:
            entries = [
                (option, value, False, False, False)
                for option, value in self.configs.get(each.name, {}).items()
            ]
            missing = each.name not in self.configs
            default = UnknownTopicOrPartitionError.errno if missing else NoError.errno
            answers.append((self.codes.get(each.name, default), "why", 2, each.name, entries))
        return [SimpleNamespace(resources=answers)]
