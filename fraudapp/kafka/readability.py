"""Whether what a worker has to read can be read: asked of the brokers again and again."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from time import monotonic
from typing import Final

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from mode import Service

from fraudapp.kafka.clients import new_consumer
from fraudapp.kafka.offsets import End, OpenTransaction, ends
from fraudapp.operation import Operation, troubles
from fraudapp.settings import Settings

INTERVAL: Final = 2.0
"""Seconds between two looks; each is two small questions to each broker."""
WITHIN: Final = 5.0
"""Seconds in which brokers have to answer, or nothing can be read."""


OPEN_FOR: Final = 60.0
"""Seconds for which a transaction may be open: brokers let producers have so many by default."""


class Standstills:
    """Which partitions cannot be read on for somebody's transaction that stays open."""

    def __init__(self) -> None:
        self._stable: dict[TopicPartition, tuple[int, float]] = {}

    def look(self, found: Mapping[TopicPartition, End], now: float) -> OpenTransaction | None:
        """Return the first that has stood still for `OPEN_FOR`, as far as was looked at."""
        for partition, end in found.items():
            offset, since = self._stable.get(partition, (-1, now))
            if end.stable == end.high_water or end.stable != offset:
                self._stable[partition] = end.stable, now
            elif now - since >= OPEN_FOR:
                return OpenTransaction(partition, end.stable)
        return None


class ReadabilityProbe(Service):
    """Looks whether each topic can be read, to its end.

    Whoever reads cannot tell: the client waits in silence for a partition without leader, and for
    a topic that is gone, as it does for records that nobody sends.
    """

    def __init__(self, settings: Settings, wanted: Callable[[], Iterable[TopicPartition]]) -> None:
        """`wanted` tells which partitions have to be read now."""
        self._wanted = wanted
        self._consumer = new_consumer(settings)
        self._operations: dict[str, Operation] = {}
        self._standstills = Standstills()
        super().__init__()

    def troubles(self) -> list[str]:
        """What cannot be read, and why."""
        return troubles(self._operations.values())

    async def on_start(self) -> None:
        """Connect; raises `KafkaError`."""
        await self._consumer.start()

    async def on_stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    @Service.timer(INTERVAL)
    async def _look(self) -> None:
        by_topic: defaultdict[str, list[TopicPartition]] = defaultdict(list)
        for partition in self._wanted():
            by_topic[partition.topic].append(partition)
        for topic in self._operations.keys() - by_topic.keys():
            del self._operations[topic]
        await asyncio.gather(*(self._look_at(*each) for each in by_topic.items()))

    async def _look_at(self, topic: str, partitions: list[TopicPartition]) -> None:
        operation = self._operations.setdefault(topic, Operation(f"reading {topic} to its end"))
        operation.began()
        try:
            found = await ends(self._consumer, partitions, WITHIN)
            if standing := self._standstills.look(found, monotonic()):
                raise standing
        except KafkaError as exc:
            operation.failed(exc)
        else:
            operation.succeeded()
