"""Appends many records to one partition at once, at a tenth of the cost of sending each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import nullcontext
from typing import Any, Final, Literal

from aiokafka import AIOKafkaProducer
from aiokafka.errors import MessageSizeTooLargeError

from fraudapp.effort import Effort, troubles
from fraudapp.kafka_clients import client_options
from fraudapp.patience import patiently
from fraudapp.settings import Settings
from fraudapp.topic_ids import ids_when_there, topic_ids

LARGEST_BATCH: Final = 900_000
"""Bytes of a batch, at most, unless one record is larger; brokers take 1 MiB by default."""
LARGEST_REQUEST: Final = 90_000_000
"""Bytes of a record, at most: brokers close the connection over a request of 100 MiB."""
ROOM_FOR_HEADERS: Final = 64_000
"""Bytes of a record beside the message it holds, at most."""


def largest_letter(settings: Settings) -> int:
    """Bytes of the largest record that is sent, a dead letter: twice an input, and its headers."""
    return min(2 * settings.max_message_bytes + ROOM_FOR_HEADERS, LARGEST_REQUEST)


# A plain tuple: there is one for each decision, and a named one costs as much as its JSON.
NewRecord = tuple["bytes | None", "bytes | None", list[tuple[str, bytes]]]
"""Key, value and headers of a record to be appended."""


class Appender:
    """A producer of batches which the caller has put together; Faust's sends record by record."""

    def __init__(self, settings: Settings, compression: Literal["gzip"] | None = None) -> None:
        self._largest = max(LARGEST_BATCH + ROOM_FOR_HEADERS, largest_letter(settings))
        self._one_large = asyncio.Lock()
        self._efforts: set[Effort] = set()
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

    def troubles(self) -> list[str]:
        """What cannot be appended now, and why."""
        return troubles(self._efforts)

    async def topic_ids(self, topics: Collection[str], *, wait: bool = False) -> dict[str, str]:
        """See `topic_ids`, and to `wait` for those that are not there yet `ids_when_there`."""
        return await (ids_when_there if wait else topic_ids)(self._producer.client, topics)

    async def append(
        self, topic: str, partition: int, records: Iterable[NewRecord], what: str
    ) -> list[int]:
        """Append records in their order, and return their offsets, which need not be consecutive.

        Tries again until it goes well (see `patiently`), and says `what` in the log when it does
        not; some records may then be there twice. Raises `RecordListTooLargeError`, or
        `MessageSizeTooLargeError`, also for what is larger than `largest_letter`: it is not sent.
        """
        kept = list(records)
        # What waits for one broker goes in one request; several large ones may be too much for it.
        turn = self._one_large if _is_large(kept) else nullcontext()
        effort = Effort(f"{what} in {topic}/{partition}", needs="WRITE")
        self._efforts.add(effort)
        try:
            async for attempt in patiently(effort):
                async with turn:
                    with attempt:
                        return await self._append(topic, partition, kept)
            raise AssertionError("attempts without limit ended")
        finally:
            self._efforts.discard(effort)

    async def _append(self, topic: str, partition: int, records: list[NewRecord]) -> list[int]:
        batches = list(self._batches(records))
        if max(batch.size() for batch in batches) > self._largest:
            # aiokafka compares only what is sent record by record; nothing is sent of them.
            raise MessageSizeTooLargeError(f"more than {self._largest:,} bytes")
        sent = [
            (batch.record_count(), await self._send(batch, topic, partition)) for batch in batches
        ]
        metadata = await asyncio.gather(*(future for _, future in sent))
        return [
            first.offset + place
            for (count, _), first in zip(sent, metadata, strict=True)
            for place in range(count)
        ]

    async def _send(self, batch: Any, topic: str, partition: int) -> asyncio.Future[Any]:
        batch.close()
        sent: asyncio.Future[Any] = await self._producer.send_batch(
            batch, topic, partition=partition
        )
        return sent

    def _batches(self, records: Iterable[NewRecord]) -> Iterator[Any]:
        now = int(time.time() * 1_000)
        batch = self._producer.create_batch()
        for key, value, headers in records:
            # A batch takes its first record whatever the size, and then no more than fit.
            if batch.append(timestamp=now, key=key, value=value, headers=headers) is None:
                yield batch
                batch = self._producer.create_batch()
                batch.append(timestamp=now, key=key, value=value, headers=headers)
        if batch.record_count():
            yield batch


def _is_large(records: list[NewRecord]) -> bool:
    key, value, _ = records[0] if len(records) == 1 else (None, None, [])
    return len(key or b"") + len(value or b"") > LARGEST_BATCH
