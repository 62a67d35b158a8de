"""Probes the brokers regularly whether the partitions that a worker reads can be read."""

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

PROBE_INTERVAL: Final = 2.0
"""Seconds between two probes; each is two small requests to each broker."""
PROBE_TIMEOUT: Final = 5.0
"""Seconds in which brokers have to answer a probe; else the topic counts as unreadable."""
MAX_OPEN_TRANSACTION_SECONDS: Final = 60.0
"""Seconds for which a transaction may be open: the default timeout of producers."""


class OpenTransactions:
    """Tracks for how long the last stable offset of each partition has not moved."""

    def __init__(self) -> None:
        # Last stable offset, and when it moved last or was at the high water.
        self._stable: dict[TopicPartition, tuple[int, float]] = {}

    def overdue(self, ends: Mapping[TopicPartition, End], now: float) -> OpenTransaction | None:
        """Return a transaction that is open for `MAX_OPEN_TRANSACTION_SECONDS` or more, if any.

        `ends` are those of all partitions now; a transaction counts from when it was first seen.
        """
        for tp, end in ends.items():
            offset, since = self._stable.get(tp, (-1, now))
            if end.stable == end.high_water or end.stable != offset:
                self._stable[tp] = end.stable, now
            elif now - since >= MAX_OPEN_TRANSACTION_SECONDS:
                return OpenTransaction(tp, end.stable)
        return None


class ReadabilityProbe(Service):
    """Probes whether each topic can be read to its end, and reports by topic.

    A consumer cannot tell. aiokafka waits in silence for a partition without a leader, or of a
    deleted topic, just as it waits for the next record.
    """

    def __init__(self, settings: Settings, wanted: Callable[[], Iterable[TopicPartition]]) -> None:
        """`wanted` returns the partitions that this worker reads now; called before each probe."""
        self._wanted = wanted
        self._consumer = new_consumer(settings)
        self._operations: dict[str, Operation] = {}
        self._transactions = OpenTransactions()
        super().__init__()

    def troubles(self) -> list[str]:
        """Return a sentence, with the reason, for each topic that cannot be read."""
        return troubles(self._operations.values())

    async def on_start(self) -> None:
        """Connect; raises `KafkaError`."""
        await self._consumer.start()

    async def on_stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    @Service.timer(PROBE_INTERVAL)
    async def _probe(self) -> None:
        by_topic: defaultdict[str, list[TopicPartition]] = defaultdict(list)
        for tp in self._wanted():
            by_topic[tp.topic].append(tp)
        for topic in self._operations.keys() - by_topic.keys():
            del self._operations[topic]
        await asyncio.gather(*(self._probe_topic(*each) for each in by_topic.items()))

    async def _probe_topic(self, topic: str, partitions: list[TopicPartition]) -> None:
        operation = self._operations.setdefault(topic, Operation(f"reading {topic} to its end"))
        operation.began()
        try:
            found = await ends(self._consumer, partitions, PROBE_TIMEOUT)
            if overdue := self._transactions.overdue(found, monotonic()):
                raise overdue
        except KafkaError as exc:
            operation.failed(exc)
        else:
            operation.succeeded()
