"""Appends whole batches to a partition, which costs far less than sending record by record.

The batches are idempotent, see `fraudapp.kafka.idempotence`.
"""

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
from fraudapp.kafka.idempotence import TOO_LARGE, PartitionSequence
from fraudapp.kafka.offsets import load_metadata
from fraudapp.kafka.topic_ids import topic_ids, wait_for_topic_ids
from fraudapp.operation import Operation, troubles
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings

log = logging.getLogger(__name__)

MAX_PRODUCER_BATCH_BYTES: Final = 900_000
"""Bytes of a batch, at most, unless a single record is larger; brokers take 1 MiB by default."""
MAX_RECORD_BYTES: Final = 90_000_000
"""Bytes of a record, at most: brokers close the connection over a request of 100 MiB."""
MAX_HEADER_BYTES: Final = 64_000
"""Bytes of a record beside the message that it holds, at most."""
_MAX_OVERHEAD_BYTES: Final = 128
"""Bytes of a record beside its key, value and headers, at most."""


def max_dead_letter_bytes(settings: Settings) -> int:
    """Return the bytes of the largest record sent, a dead letter: twice an input, plus headers."""
    return min(2 * settings.max_message_bytes + MAX_HEADER_BYTES, MAX_RECORD_BYTES)


# A plain tuple: one is made for each decision, and a named tuple costs as much as its JSON.
NewRecord = tuple["bytes | None", "bytes | None", list[tuple[str, bytes]]]
"""Key, value and headers of a record to append."""


class BatchProducer:
    """An idempotent producer of whole batches; Faust's producer sends record by record.

    Its methods are safe to call concurrently: appends to one partition take turns.
    """

    def __init__(self, settings: Settings, compression: Literal["gzip"] | None = None) -> None:
        self._max_request_bytes = max(
            MAX_PRODUCER_BATCH_BYTES + MAX_HEADER_BYTES, max_dead_letter_bytes(settings)
        )
        self._large_record_turn = asyncio.Lock()
        # By topic: lower than the default once a broker has refused a batch as too large.
        self._max_batch_bytes: defaultdict[str, int] = defaultdict(lambda: MAX_PRODUCER_BATCH_BYTES)
        self._operations: set[Operation] = set()
        self._sequences: dict[TopicPartition, PartitionSequence] = {}
        self._producer = AIOKafkaProducer(
            **client_options(settings),
            acks="all",
            max_batch_size=MAX_PRODUCER_BATCH_BYTES,
            max_request_size=self._max_request_bytes,
            compression_type=compression,
            request_timeout_ms=60_000,
        )

    async def start(self) -> None:
        """Connect; raises `KafkaError`."""
        await self._producer.start()

    async def stop(self) -> None:
        """Disconnect, once the batches on their way are sent."""
        await self._producer.stop()

    async def partitions(self, topic: str, *, afresh: bool = False) -> int:
        """Return how many partitions a topic has; raises `KafkaError`.

        The number is from the client's metadata, some minutes old at most; `afresh` asks a broker.
        """
        if afresh:
            await self._producer.client.force_metadata_update()
        return len(await self._producer.partitions_for(topic))

    async def partitions_with_retry(self, topic: str, what: str) -> int:
        """Return how many partitions a topic has; retries for ever, and logs failures as `what`."""
        client = self._producer.client
        with self._tracked(f"{what} in {topic}", "DESCRIBE") as operation:
            async for attempt in retry_forever(operation):
                with attempt:
                    await load_metadata(client, [topic])
        return len(client.cluster.partitions_for_topic(topic))

    def troubles(self) -> list[str]:
        """Return a sentence, with the reason, for each append that fails now."""
        return troubles(self._operations)

    async def topic_ids(self, topics: Collection[str], *, wait: bool = False) -> dict[str, str]:
        """See `topic_ids`; with `wait`, see `wait_for_topic_ids`."""
        return await (wait_for_topic_ids if wait else topic_ids)(self._producer.client, topics)

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

        Blocks until all are acknowledged by the broker, and retries for ever (see `retry_forever`);
        failures are logged as `what`. An offset is -1 where the broker knows that it has the record
        and no longer where.

        No record is appended twice, with three exceptions: the broker has lost its state of the
        producer, it knows no producer ids, or the topic's size limit was lowered meanwhile.

        With `divide`, a batch that is too large for the topic is sent as several. Raises
        `RecordListTooLargeError` or `MessageSizeTooLargeError`: with `divide` for a single record
        only, and always for one larger than `max_dead_letter_bytes`, which is not sent.
        """
        whole = list(records)
        # aiokafka puts the waiting batches for one broker into one request. Several large records
        # could exceed the broker's limit, so they are sent one at a time.
        turn = self._large_record_turn if _is_large(whole) else nullcontext()
        sequence = self._sequence(topic, partition)
        offsets: list[int] = []
        with self._tracked(f"{what} in {topic}/{partition}", "WRITE") as operation:
            async with sequence.turn():
                async for attempt in retry_forever(operation):
                    async with turn:
                        with attempt:
                            await self._append(topic, partition, whole, offsets, divide)
        return offsets

    @contextmanager
    def _tracked(self, what: str, needs: str) -> Iterator[Operation]:
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
        """Append the records that have no offset in `offsets` yet, and add theirs."""
        sequence = self._sequence(topic, partition)
        await sequence.begin(self._producer.client)
        batches = list(self._batches(records[len(offsets) :], self._max_batch_bytes[topic]))
        # One after the other: aiokafka has no more than one batch of a partition in flight, either.
        for batch, count in batches:
            size = batch.size()
            sequence.number(batch)
            try:
                first = await self._send(batch, topic, partition)
            except BaseException as exc:
                sequence.failed(exc)
                if not (isinstance(exc, TOO_LARGE) and divide and count > 1):
                    raise
                self._max_batch_bytes[topic] = min(self._max_batch_bytes[topic], size // 2)
                log.info("%s rejects a batch of %d bytes; sending smaller ones", topic, size)
                await self._append(topic, partition, records, offsets, divide)
                return
            sequence.confirmed(count)
            # A broker that drops a duplicate may no longer know the offset of the first one.
            offsets += range(first, first + count) if first >= 0 else [-1] * count

    def _sequence(self, topic: str, partition: int) -> PartitionSequence:
        tp = TopicPartition(topic, partition)
        if tp not in self._sequences:
            self._sequences[tp] = PartitionSequence(tp)
        return self._sequences[tp]

    async def _send(self, batch: Any, topic: str, partition: int) -> int:
        batch.close()
        sent = await self._producer.send_batch(batch, topic, partition=partition)
        return int((await sent).offset)

    def _batches(self, records: Iterable[NewRecord], max_bytes: int) -> Iterator[tuple[Any, int]]:
        """Yield batches of at most `max_bytes`, or of a single larger record, with their counts."""
        now_ms = int(time.time() * 1_000)
        limited = max_bytes < MAX_PRODUCER_BATCH_BYTES  # else aiokafka's builder keeps to the limit
        batch: Any = None
        count = 0
        for record in records:
            key, value, headers = record
            if batch is not None:
                full = limited and batch.size() + size_of(record) > max_bytes
                taken = full or batch.append(
                    timestamp=now_ms, key=key, value=value, headers=headers
                )
                if not full and taken is not None:
                    count += 1
                    continue
                yield batch, count
                batch = None
            # A batch takes its first record whatever its size, and then only records that fit.
            # aiokafka checks the size of records sent one by one, and not of batches, so the check
            # is made here. A record that is surely too large is not even copied into a batch.
            if size_of(record) - _MAX_OVERHEAD_BYTES <= self._max_request_bytes:
                batch, count = self._producer.create_batch(), 1
                batch.append(timestamp=now_ms, key=key, value=value, headers=headers)
            if batch is None or batch.size() > self._max_request_bytes:
                raise MessageSizeTooLargeError(f"more than {self._max_request_bytes:,} bytes")
        if batch is not None:
            yield batch, count


def size_of(record: NewRecord) -> int:
    """Return the bytes that a record takes in a batch, at most."""
    key, value, headers = record
    header_bytes = sum(len(name) + len(content) for name, content in headers)
    return len(key or b"") + len(value or b"") + header_bytes + _MAX_OVERHEAD_BYTES


def _is_large(records: list[NewRecord]) -> bool:
    key, value, _ = records[0] if len(records) == 1 else (None, None, [])
    return len(key or b"") + len(value or b"") > MAX_PRODUCER_BATCH_BYTES
