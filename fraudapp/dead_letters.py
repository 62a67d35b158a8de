"""Reading the topic of dead letters, and sending letters back to where they came from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from fraudapp.settings import Settings


class DeadLetter(NamedTuple):
    """A rejected input and why it was rejected."""

    partition: int
    offset: int
    """Where the letter itself is, in the topic of dead letters."""
    key: bytes | None
    raw: bytes | None
    """The input exactly as it was read."""
    reason: str
    detail: str
    source: str
    """Where the input was read: topic/partition/offset."""

    @property
    def name(self) -> str:
        """How commands call it: PARTITION:OFFSET."""
        return f"{self.partition}:{self.offset}"

    @property
    def topic(self) -> str:
        """The topic it was read from."""
        return self.source.rsplit("/", 2)[0]


async def read_dead_letters(settings: Settings) -> AsyncIterator[DeadLetter]:
    """Yield every letter there is at the time of the call, partition by partition.

    Raises `KafkaError`.
    """
    async with AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        group_id=None,
        enable_auto_commit=False,
        max_partition_fetch_bytes=2 * settings.max_message_bytes,
    ) as consumer:
        topic = settings.dead_letters_topic
        await consumer._client.force_metadata_update()
        numbers = sorted(consumer.partitions_for_topic(topic) or ())
        partitions = [TopicPartition(topic, number) for number in numbers]
        ends = await consumer.end_offsets(partitions)
        for partition in partitions:
            consumer.assign([partition])
            await consumer.seek_to_beginning(partition)
            while await consumer.position(partition) < ends[partition]:
                for records in (await consumer.getmany(timeout_ms=1_000)).values():
                    for record in records:
                        if record.offset < ends[partition]:
                            yield _letter(record)


async def replay(
    settings: Settings, letters: Iterable[DeadLetter], repaired: bytes | None = None
) -> int:
    """Send letters to the topics they came from, `repaired` in place of the raw bytes if given.

    Returns how many; raises `KafkaError`. Sending one twice is harmless: a transaction is decided
    once.
    """
    async with AIOKafkaProducer(
        bootstrap_servers=settings.bootstrap_servers,
        max_request_size=2 * settings.max_message_bytes,
    ) as producer:
        sent = [
            await producer.send(
                letter.topic, letter.raw if repaired is None else repaired, key=letter.key
            )
            for letter in letters
        ]
        await asyncio.gather(*sent)
        return len(sent)


def _letter(record: ConsumerRecord) -> DeadLetter:
    headers = {name: value.decode(errors="replace") for name, value in record.headers}
    source = "/".join(headers.get(name, "?") for name in ("topic", "partition", "offset"))
    return DeadLetter(
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        raw=record.value,
        reason=headers.get("reason", "?"),
        detail=headers.get("detail", ""),
        source=source,
    )
