"""Kafka, the decision log, sinks and tables in memory, for unit tests of what uses them.

Each of them keeps the promises that its callers rely on. Where the real one can be asked the same
questions, both answer the same tests: see `tests.contracts`. They can be made to hold and to fail.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from collections import Counter, defaultdict, deque
from collections.abc import (
    AsyncIterator,
    Callable,
    Collection,
    Hashable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from datetime import date
from itertools import repeat
from pathlib import Path
from typing import Any, Final, Generic, TypeVar

from aiokafka import ConsumerRecord
from aiokafka.errors import MessageSizeTooLargeError, UnknownTopicOrPartitionError
from faust.types import TP, Message

from fraudapp.decisions.batch import Batch
from fraudapp.decisions.catch_ups import Unread
from fraudapp.decisions.fingerprints import Fingerprint
from fraudapp.decisions.index import DecisionIndex, IndexDamaged
from fraudapp.decisions.log_records import LogRecord, log_records
from fraudapp.kafka.producer import MAX_PRODUCER_BATCH_BYTES, NewRecord, size_of
from fraudapp.operation import GRACE_SECONDS, Operation, troubles
from fraudapp.process.disk import DiskFull
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings
from fraudapp.sinks.base import DecisionRejected, SinkUnavailable
from models.records import Decision

PATIENCE: Final = 20.0
"""Seconds that a test may wait for a condition."""

Value = TypeVar("Value")


async def until(check: Callable[[], object]) -> None:
    """Return once `check` returns something true; fail if it never does."""
    deadline = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < deadline, "it never came"
        await asyncio.sleep(0.001)


class Gates:
    """Places at which callers wait while they are closed; all are open at first."""

    def __init__(self) -> None:
        self._closed: dict[Hashable, asyncio.Event] = {}
        self._waiting: Counter[Hashable] = Counter()

    def close(self, place: Hashable) -> None:
        self._closed.setdefault(place, asyncio.Event())

    def open(self, place: Hashable) -> None:
        if gate := self._closed.pop(place, None):
            gate.set()

    async def passed(self, place: Hashable) -> None:
        """Return once the place is open; without giving way if it is already."""
        while gate := self._closed.get(place):
            self._waiting[place] += 1
            try:
                await gate.wait()
            finally:
                self._waiting[place] -= 1

    async def reached(self, place: Hashable) -> None:
        """Return once somebody waits there."""
        await until(lambda: self._waiting[place])


class MemoryBroker:
    """Topics as lists of records by partition, with the methods of a `BatchProducer`."""

    def __init__(self, partitions: Mapping[str, int]) -> None:
        """`partitions` says how many each topic has."""
        self.topics: dict[str, list[list[ConsumerRecord]]] = {
            topic: [[] for _ in range(count)] for topic, count in partitions.items()
        }
        self.limits: dict[str, int] = {}
        """Bytes of a batch that a topic takes, at most; others take any."""
        self.grace_seconds = GRACE_SECONDS
        """Seconds for which `troubles` leaves a failure out."""
        self.committed: dict[tuple[str | None, int], int] = {}
        """Offsets in the decision log by group and partition."""
        self._failures: defaultdict[tuple[str, int], deque[Exception]] = defaultdict(deque)
        self._turns: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)
        self._operations: set[Operation] = set()
        self._gates = Gates()

    def hold(self, topic: str, partition: int) -> None:
        """Let whoever appends there wait until `go_on`."""
        self._gates.close((topic, partition))

    def go_on(self, topic: str, partition: int) -> None:
        """Let all append that wait."""
        self._gates.open((topic, partition))

    async def held(self, topic: str, partition: int) -> None:
        """Return once somebody waits to append there."""
        await self._gates.reached((topic, partition))

    def fail(self, topic: str, partition: int, *failures: Exception) -> None:
        """Let the next attempts to append there raise these, one each."""
        self._failures[topic, partition] += failures

    def put(
        self,
        topic: str,
        partition: int,
        value: bytes | None,
        key: bytes | None = None,
        headers: Iterable[tuple[str, bytes]] = (),
    ) -> ConsumerRecord:
        """Append one record at once, as any other program may, and return it."""
        there = self.topics[topic][partition]
        now = int(time.time() * 1_000)
        sizes = len(key or b""), len(value or b"")
        record = ConsumerRecord(
            topic, partition, len(there), now, 0, key, value, None, *sizes, tuple(headers)
        )
        there.append(record)
        return record

    async def partitions(self, topic: str, *, afresh: bool = False) -> int:
        """See `BatchProducer.partitions`."""
        return len(self._topic(topic))

    async def partitions_with_retry(self, topic: str, what: str) -> int:
        """See `BatchProducer.partitions_with_retry`."""
        return len(self._topic(topic))

    async def topic_ids(self, topics: Collection[str], *, wait: bool = False) -> dict[str, str]:
        """See `BatchProducer.topic_ids`; does not wait in vain."""
        if wait:
            for topic in topics:
                self._topic(topic)
        return {topic: f"id-of-{topic}" for topic in topics if topic in self.topics}

    def troubles(self) -> list[str]:
        """See `BatchProducer.troubles`."""
        return troubles(self._operations, self.grace_seconds)

    async def append(
        self,
        topic: str,
        partition: int,
        records: Iterable[NewRecord],
        what: str,
        *,
        divide: bool = False,
    ) -> list[int]:
        """See `BatchProducer.append`."""
        kept = list(records)
        with self._trying(f"{what} in {topic}/{partition}") as operation:
            async with self._turns[topic, partition]:
                async for attempt in retry_forever(operation):
                    with attempt:
                        offsets = await self._append(topic, partition, kept, divide)
        return offsets

    @contextmanager
    def _trying(self, what: str) -> Iterator[Operation]:
        operation = Operation(what, "WRITE")
        self._operations.add(operation)
        try:
            yield operation
        finally:
            self._operations.discard(operation)

    async def _append(
        self, topic: str, partition: int, records: Sequence[NewRecord], divide: bool
    ) -> list[int]:
        await self._gates.passed((topic, partition))
        if failures := self._failures[topic, partition]:
            raise failures.popleft()
        takes = self.limits.get(topic, MAX_PRODUCER_BATCH_BYTES)
        offsets: list[int] = []
        for batch in _batches(
            records, min(takes, MAX_PRODUCER_BATCH_BYTES) if divide else MAX_PRODUCER_BATCH_BYTES
        ):
            size = sum(map(size_of, batch))
            if topic in self.limits and size > takes:
                raise MessageSizeTooLargeError(f"{topic} takes {takes} bytes, not {size}")
            offsets += [
                self.put(topic, partition, value, key, headers).offset
                for key, value, headers in batch
            ]
        return offsets

    def _topic(self, topic: str) -> list[list[ConsumerRecord]]:
        if topic not in self.topics:
            raise UnknownTopicOrPartitionError(topic)
        return self.topics[topic]


def _batches(records: Iterable[NewRecord], most: int) -> Iterator[list[NewRecord]]:
    batch: list[NewRecord] = []
    size = 0
    for record in records:
        if batch and size + size_of(record) > most:
            yield batch
            batch, size = [], 0
        batch.append(record)
        size += size_of(record)
    if batch:
        yield batch


class MemoryDecisionLog:
    """As much of a `DecisionLog` as pipeline, sink writers and heartbeats use.

    Its indexes are real ones. It does not look whether the log has lost its end, and what is
    damaged is read in again when it is next asked for.
    """

    def __init__(self, settings: Settings, broker: MemoryBroker, folder: Path) -> None:
        self.left: dict[int, Unread] = {}
        """What `unread` returns."""
        self._topic = settings.decisions_topic
        self._partitions = settings.topic_partitions
        self._broker = broker
        self._folder = folder
        self._indexes: dict[int, DecisionIndex] = {}
        self._read_in: dict[int, int] = {}
        self._turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._gates = Gates()

    def hold(self, partition: int) -> None:
        """Let whoever reads a partition in wait until `go_on`."""
        self._gates.close(partition)

    def go_on(self, partition: int) -> None:
        """Let all read on who wait."""
        self._gates.open(partition)

    async def held(self, partition: int) -> None:
        """Return once somebody waits to read a partition in."""
        await self._gates.reached(partition)

    def close(self) -> None:
        """Close the indexes."""
        for index in self._indexes.values():
            index.close()
        self._indexes.clear()

    def index(self, partition: int) -> DecisionIndex | None:
        """See `DecisionLog.index`."""
        return self._indexes.get(partition) if partition in self._read_in else None

    def unread(self, partition: int) -> Unread | None:
        """See `DecisionLog.unread`."""
        return self.left.get(partition)

    def is_ready(self, partition: int, generation: int) -> bool:
        """See `DecisionLog.is_ready`."""
        return self._read_in.get(partition) == generation

    async def ready(self, partition: int, generation: int) -> DecisionIndex:
        """See `DecisionLog.ready`."""
        if self.is_ready(partition, generation):
            return self._indexes[partition]
        async with self._turns[partition]:
            while not self.is_ready(partition, generation):
                await self._gates.passed(partition)
                try:
                    self._read(partition)
                except IndexDamaged as exc:
                    self.repair(exc)
                else:
                    self._read_in[partition] = generation
            return self._indexes[partition]

    async def append(self, partition: int, batch: Batch, next_offset: int) -> bool:
        """See `DecisionLog.append`."""
        index = self._indexes.get(partition)
        if index is None or index.next_offset != next_offset:
            return False
        new: Iterator[NewRecord] = zip(batch.keys, batch.encoded, repeat([]), strict=False)
        offsets = await self._broker.append(
            self._topic, partition, new, "publishing decisions", divide=True
        )
        try:
            follows = offsets == list(range(next_offset, next_offset + len(offsets)))
            if follows and index.next_offset == next_offset:
                index.extend(batch)
                return True
        except IndexDamaged as exc:
            self.repair(exc)
        generation = self._read_in.pop(partition, None)
        if generation is not None:
            await self.ready(partition, generation)
        return False

    def repair(self, exc: IndexDamaged | DiskFull) -> None:
        """See `DecisionLog.repair`; however often one is damaged, it is made anew."""
        for partition, index in list(self._indexes.items()):
            if isinstance(exc, IndexDamaged) and exc.index is index:
                del self._indexes[partition]
                self._read_in.pop(partition, None)
                index.throw_away()
            elif isinstance(exc, DiskFull) and exc.path == index.folder:
                self.recheck(partition)

    def recheck(self, partition: int) -> None:
        """Let a partition be read in again before it is used."""
        self._read_in.pop(partition, None)

    def _read(self, partition: int) -> None:
        if partition not in self._indexes:
            self._indexes[partition] = DecisionIndex(self._folder / f"partition-{partition}")
        index, raw = self._indexes[partition], self._broker.topics[self._topic][partition]
        index.apply(log_records(raw[index.known :], self._partitions), len(raw))


class MemoryLogReader:
    """As much of a `LogReader` as a sink writer uses."""

    def __init__(self, broker: MemoryBroker, settings: Settings, group: str | None = None) -> None:
        self._broker = broker
        self._topic = settings.decisions_topic
        self._partitions = settings.topic_partitions
        self._group = group

    async def start(self) -> None:
        """See `LogReader.start`."""

    async def stop(self) -> None:
        """See `LogReader.stop`."""

    async def committed(self, partitions: Sequence[int]) -> dict[int, int | None]:
        """See `LogReader.committed`."""
        return {each: self._broker.committed.get((self._group, each)) for each in partitions}

    async def commit(self, progress: Mapping[int, int]) -> None:
        """See `LogReader.commit`."""
        for partition, offset in progress.items():
            self._broker.committed[self._group, partition] = offset

    async def read(self, partition: int, start: int, end: int) -> AsyncIterator[list[LogRecord]]:
        """See `LogReader.read`."""
        raw = self._broker.topics[self._topic][partition][start:end]
        if records := log_records(raw, self._partitions):
            yield records


class MemoryProgress:
    """As much of the sinks' `Progress` as a sink writer uses."""

    def __init__(self) -> None:
        self._reached: dict[tuple[str, int], Fingerprint | None] = {}

    async def current(self) -> None:
        """See `Progress.current`."""

    def reached(self, sink: str, partition: int) -> Fingerprint | None:
        """See `Progress.reached`."""
        return self._reached.get((sink, partition))

    def purged(self, sink: str) -> date | None:
        """See `Progress.purged`."""
        return None

    async def note(self, sink: str, reached: Mapping[int, Fingerprint | None]) -> None:
        """See `Progress.note`."""
        self._reached.update({(sink, partition): each for partition, each in reached.items()})


class MemorySink:
    """A `DecisionSink` whose decisions are in a dictionary."""

    max_batch = 1_000
    linger = 0.0

    def __init__(self, name: str = "memory") -> None:
        self.name = name
        self.up = True
        """Whether the sink answers."""
        self.decisions: dict[str, Decision] = {}
        """By transaction id."""
        self.refused: set[str] = set()
        """Ids of decisions that it will never take."""
        self._gates = Gates()

    def hold(self) -> None:
        """Let whoever saves wait until `go_on`."""
        self._gates.close("save")

    def go_on(self) -> None:
        """Let all save who wait."""
        self._gates.open("save")

    async def held(self) -> None:
        """Return once somebody waits to save."""
        await self._gates.reached("save")

    async def open(self) -> None:
        """See `DecisionSink.open`."""
        self._check()

    async def close(self) -> None:
        """See `DecisionSink.close`."""

    async def ping(self) -> None:
        """See `DecisionSink.ping`."""
        self._check()

    async def save(self, batch: Batch) -> None:
        """See `DecisionSink.save`."""
        await self._gates.passed("save")
        self._check()
        if refused := [e for e in batch.decisions if e.transaction_id in self.refused]:
            raise DecisionRejected(f"{self.name}: refuses {refused[0].transaction_id}")
        for each in batch.decisions:
            self.decisions.setdefault(each.transaction_id, each)

    async def purge(self, before: date, *, dry_run: bool = False) -> int:
        """See `DecisionSink.purge`."""
        self._check()
        expired = [i for i, each in self.decisions.items() if each.decided_at.date() < before]
        if not dry_run:
            for transaction_id in expired:
                del self.decisions[transaction_id]
        return len(expired)

    def _check(self) -> None:
        if not self.up:
            raise SinkUnavailable(f"{self.name}: down")


class MemoryConsumption:
    """A `Consumption` that records what becomes of the record batches."""

    def __init__(self, broker: MemoryBroker) -> None:
        self.generation = 1
        self.acknowledged: list[Message] = []
        self.released: list[Message] = []
        self.failures: deque[Exception] = deque()
        """What the next questions for high waters raise, one each."""
        self.is_full: Callable[[TP], bool] = lambda tp: False
        self._broker = broker

    def acknowledge(self, message: Message) -> None:
        """See `Consumption.acknowledge`."""
        self.acknowledged.append(message)

    def release(self, message: Message) -> None:
        """See `Consumption.release`."""
        self.released.append(message)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int | None]:
        """See `Consumption.highwaters`."""
        if self.failures:
            raise self.failures.popleft()
        return {each: len(self._broker.topics[each.topic][each.partition]) for each in partitions}

    def wake_getmany(self) -> None:
        """See `SafeConsumer.wake_getmany`."""


class MemoryTable(Generic[Value]):
    """As much of a table `ByPartition` as its writers use."""

    def __init__(self) -> None:
        self.values: dict[int, Value] = {}
        self.written: list[tuple[int, Value]] = []
        """Every value with its partition, in the order of writing."""
        self._gates = Gates()

    def hold(self, partition: int) -> None:
        """Let the changelog not take the values of a partition until `go_on`."""
        self._gates.close(partition)

    def go_on(self, partition: int) -> None:
        """Let the changelog take them."""
        self._gates.open(partition)

    async def held(self, partition: int) -> None:
        """Return once somebody waits for the changelog."""
        await self._gates.reached(partition)

    def get(self, partition: int) -> Value | None:
        """See `ByPartition.get`."""
        return self.values.get(partition)

    def items(self) -> Iterator[tuple[int, Value]]:
        """See `ByPartition.items`."""
        yield from self.values.items()

    def write(self, partition: int, value: Value) -> None:
        """See `ByPartition.write`."""
        self.values[partition] = value
        self.written.append((partition, value))

    async def delivered(self, partition: int) -> None:
        """See `ByPartition.delivered`."""
        await self._gates.passed(partition)


class MemoryListener:
    """As much of a `DecisionListener` as pipeline and heartbeats use."""

    def __init__(self) -> None:
        self.notifications = 0
        """Number of calls of `notify`."""
        self.kept: list[dict[int, int]] = []
        """Arguments of the calls of `forget_stored`."""

    def notify(self) -> None:
        """See `DecisionListener.notify`."""
        self.notifications += 1

    def forget_stored(self, stored: Mapping[int, int]) -> None:
        """See `DecisionListener.forget_stored`."""
        self.kept.append(dict(stored))


def same_signature(one: Any, other: Any) -> bool:
    """Whether two functions can be called alike: what each parameter is, and its default."""

    def shape(function: Any) -> list[tuple[object, object, str | None]]:
        parameters = inspect.signature(function).parameters.values()
        return [
            (each.kind, each.default, each.name if each.kind is each.KEYWORD_ONLY else None)
            for each in parameters
        ]

    return shape(one) == shape(other)
