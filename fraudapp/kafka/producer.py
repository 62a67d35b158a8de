"""Appends many records to one partition at once, at a tenth of the cost of sending each."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Final, Literal

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError

from fraudapp.kafka.clients import client_options
from fraudapp.kafka.idempotence import TOO_LARGE, Sequence
from fraudapp.kafka.offsets import known
from fraudapp.kafka.topic_ids import ids_when_there, topic_ids
from fraudapp.operation import Operation, troubles
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings

log = logging.getLogger(__name__)

LARGEST_BATCH: Final = 900_000
"""Bytes of a batch, at most, unless one record is larger; brokers take 1 MiB by default."""
LARGEST_REQUEST: Final = 90_000_000
"""Bytes of a record, at most: brokers close the connection over a request of 100 MiB."""
ROOM_FOR_HEADERS: Final = 64_000
"""Bytes of a record beside the message it holds, at most."""
_OVERHEAD: Final = 128
"""Bytes of a record beside its key, value and headers, at most."""


def largest_letter(settings: Settings) -> int:
    """Bytes of the largest record that is sent, a dead letter: twice an input, and its headers."""
    return min(2 * settings.max_message_bytes + ROOM_FOR_HEADERS, LARGEST_REQUEST)


# A plain tuple: there is one for each decision, and a named one costs as much as its JSON.
NewRecord = tuple["bytes | None", "bytes | None", list[tuple[str, bytes]]]
"""Key, value and headers of a record to be appended."""


class BatchProducer:
    """A producer of batches which the caller has put together; Faust's sends record by record."""

    def __init__(self, settings: Settings, compression: Literal["gzip"] | None = None) -> None:
        self._largest = max(LARGEST_BATCH + ROOM_FOR_HEADERS, largest_letter(settings))
        self._one_large = asyncio.Lock()
        self._takes: defaultdict[str, int] = defaultdict(lambda: LARGEST_BATCH)  # bytes, by topic
        self._operations: set[Operation] = set()
        self._sequences: dict[TopicPartition, Sequence] = {}
        self._producer = AIOKafkaProducer(
            **client_options(settings),
            acks="all",
            max_batch_size=LARGEST_BATCH,
            max_request_size=self._largest,
            compression_type=compression,
            request_timeout_ms=60_000,
        )

    async def start(self) -> None:
        """Connect; raises `KafkaError`."""
        await self._producer.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._producer.stop()

    async def partitions(self, topic: str, *, afresh: bool = False) -> int:
        """Return how many partitions a topic has; raises `KafkaError`.

        As was heard some minutes ago at most, unless a broker is to be asked `afresh`.
        """
        if afresh:
            await self._producer.client.force_metadata_update()
        return len(await self._producer.partitions_for(topic))

    async def partitions_when_told(self, topic: str, what: str) -> int:
        """Return how many partitions a topic has, trying until a broker tells; see `append`."""
        client = self._producer.client
        with self._trying(f"{what} in {topic}", "DESCRIBE") as operation:
            async for attempt in retry_forever(operation):
                with attempt:
                    await known(client, [topic])
        return len(client.cluster.partitions_for_topic(topic))

    def troubles(self) -> list[str]:
        """What cannot be appended now, and why."""
        return troubles(self._operations)

    async def topic_ids(self, topics: Collection[str], *, wait: bool = False) -> dict[str, str]:
        """See `topic_ids`, and to `wait` for those that are not there yet `ids_when_there`."""
        return await (ids_when_there if wait else topic_ids)(self._producer.client, topics)

    async def append(
        self,
        topic: str,
        partition: int,
        records: Iterable[NewRecord],
        what: str,
        *,
        divide: bool = False,
    ) -> list[int]:
        """Append records in their order, and return their offsets, which need not be consecutive.

        Tries until it goes well (see `retry_forever`), and says `what` in the log when it does not.
        None is there twice then, unless the broker has lost what it had or knows no batch
        again, or the topic began to take less meanwhile. Raises `RecordListTooLargeError`, or
        `MessageSizeTooLargeError`, also for what is larger than `largest_letter`: it is not sent.
        To `divide` is to send what the topic does not take at once as several batches: then, only a
        single record can be too large.
        """
        kept = list(records)
        # What waits for one broker goes in one request; several large ones may be too much for it.
        turn = self._one_large if _is_large(kept) else nullcontext()
        sequence = self._sequence(topic, partition)
        offsets: list[int] = []
        with self._trying(f"{what} in {topic}/{partition}", "WRITE") as operation:
            async with sequence.turn():
                async for attempt in retry_forever(operation):
                    async with turn:
                        with attempt:
                            await self._append(topic, partition, kept, offsets, divide)
        return offsets

    @contextmanager
    def _trying(self, what: str, needs: str) -> Iterator[Operation]:
        operation = Operation(what, needs)
        self._operations.add(operation)
        try:
            yield operation
        finally:
            self._operations.discard(operation)

    async def _append(
        self,
        topic: str,
        partition: int,
        records: list[NewRecord],
        offsets: list[int],
        divide: bool,
    ) -> None:
        """Append those records that have no offsets yet."""
        sequence = self._sequence(topic, partition)
        await sequence.begin(self._producer.client)
        batches = list(self._batches(records[len(offsets) :], self._takes[topic]))
        for batch, held in batches:  # in their order: aiokafka sends a partition one at a time too
            size = batch.size()
            sequence.number(batch)
            try:
                first = await self._send(batch, topic, partition)
            except BaseException as exc:
                sequence.failed(exc)
                if not (isinstance(exc, TOO_LARGE) and divide and held > 1):
                    raise
                self._takes[topic] = min(self._takes[topic], size // 2)
                log.info("%s takes less than %d bytes at once", topic, size)
                await self._append(topic, partition, records, offsets, divide)
                return
            sequence.confirmed(held)
            # A batch that was known from before, but no longer where it is, has no offset.
            offsets += range(first, first + held) if first >= 0 else [-1] * held

    def _sequence(self, topic: str, partition: int) -> Sequence:
        there = TopicPartition(topic, partition)
        if there not in self._sequences:
            self._sequences[there] = Sequence(there)
        return self._sequences[there]

    async def _send(self, batch: Any, topic: str, partition: int) -> int:
        batch.close()
        sent = await self._producer.send_batch(batch, topic, partition=partition)
        return int((await sent).offset)

    def _batches(self, records: Iterable[NewRecord], most: int) -> Iterator[tuple[Any, int]]:
        """Batches, and how many records they hold: of `most` bytes, unless one record is larger."""
        now = int(time.time() * 1_000)
        limited = most < LARGEST_BATCH
        batch: Any = None
        held = 0
        for record in records:
            key, value, headers = record
            if batch is not None:
                full = limited and batch.size() + size_of(record) > most
                taken = full or batch.append(timestamp=now, key=key, value=value, headers=headers)
                if not full and taken is not None:
                    held += 1
                    continue
                yield batch, held
                batch = None
            # A batch takes its first record whatever the size, and then no more than fit. aiokafka
            # compares only what is sent record by record; nothing is sent of them.
            if size_of(record) - _OVERHEAD <= self._largest:  # else it need not be made for that
                batch, held = self._producer.create_batch(), 1
                batch.append(timestamp=now, key=key, value=value, headers=headers)
            if batch is None or batch.size() > self._largest:
                raise MessageSizeTooLargeError(f"more than {self._largest:,} bytes")
        if batch is not None:
            yield batch, held


def size_of(record: NewRecord) -> int:
    """Bytes that a record takes in a batch, at most."""
    key, value, headers = record
    told = sum(len(name) + len(text) for name, text in headers)
    return len(key or b"") + len(value or b"") + told + _OVERHEAD


def _is_large(records: list[NewRecord]) -> bool:
    key, value, _ = records[0] if len(records) == 1 else (None, None, [])
    return len(key or b"") + len(value or b"") > LARGEST_BATCH
