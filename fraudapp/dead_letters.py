"""Reading the topic of dead letters, and sending letters back to where they came from."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from fraudapp.kafka_clients import client_options, started_consumer
from fraudapp.offsets import ends
from fraudapp.settings import Settings

POLL_MS = 1_000
AT_ONCE = 100
"""Letters held in memory; each can be some megabytes."""


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
    topic: str
    """The topic it was read from."""
    source: str
    """Where in that topic: PARTITION:OFFSET."""

    @property
    def name(self) -> str:
        """How commands call it: PARTITION:OFFSET."""
        return f"{self.partition}:{self.offset}"


class CannotReplay(Exception):
    """A letter that cannot be sent back; the message says why."""


async def read_all(settings: Settings) -> AsyncIterator[DeadLetter]:
    """Yield every letter there is at the time of the call; raises `KafkaError`."""
    async with _consumer(settings) as consumer:
        for partition, end in (await _ends(consumer, settings)).items():
            async for letter in _read(consumer, partition, 0, end):
                yield letter


async def read_one(settings: Settings, partition: int, offset: int) -> DeadLetter | None:
    """Return the letter at a position, or None if there is none; raises `KafkaError`."""
    async with _consumer(settings) as consumer:
        where = TopicPartition(settings.dead_letters_topic, partition)
        if offset >= (await _ends(consumer, settings)).get(where, 0):
            return None
        async for letter in _read(consumer, where, offset, offset + 1):
            return letter
    return None


async def replay(
    settings: Settings, letters: Sequence[DeadLetter], repaired: bytes | None = None
) -> int:
    """Send letters to the topic they came from, `repaired` in place of the raw bytes if given.

    Returns how many. Sending one twice is harmless: a transaction is decided once. Raises
    `CannotReplay` before anything is sent, or `KafkaError`.
    """
    for letter in letters:
        if letter.topic != settings.transactions_topic:
            raise CannotReplay(
                f"dead letter {letter.name} came from {letter.topic or 'an unknown topic'}, "
                f"not from {settings.transactions_topic}"
            )
    async with AIOKafkaProducer(
        **client_options(settings),
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


async def replay_new(settings: Settings, reason: str | None) -> int:
    """Send back all letters, or those with a reason, that came since this was last done.

    Returns how many. What is rejected again becomes a new letter, so nothing is sent for ever.
    Raises `CannotReplay` or `KafkaError`.
    """
    count = 0
    group = f"{settings.app_id}-dead-letters-replay-{reason or 'all'}"
    async with _consumer(settings, group) as consumer:
        for partition, end in (await _ends(consumer, settings)).items():
            consumer.assign([partition])
            start = await consumer.committed(partition) or 0
            letters: list[DeadLetter] = []
            async for letter in _read(consumer, partition, start, end):
                if reason in (None, letter.reason):
                    letters.append(letter)
                if len(letters) == AT_ONCE:
                    count += await replay(settings, letters)
                    letters.clear()
            count += await replay(settings, letters)
            await consumer.commit({partition: end})
    return count


@asynccontextmanager
async def _consumer(
    settings: Settings, group: str | None = None
) -> AsyncIterator[AIOKafkaConsumer]:
    size = 2 * settings.max_message_bytes
    async with started_consumer(settings, group, max_partition_fetch_bytes=size) as consumer:
        yield consumer


async def _ends(consumer: AIOKafkaConsumer, settings: Settings) -> Mapping[TopicPartition, int]:
    topic = settings.dead_letters_topic
    await consumer._client.force_metadata_update()
    numbers = sorted(await consumer._client._wait_on_metadata(topic))
    found = await ends(consumer, [TopicPartition(topic, number) for number in numbers])
    return {partition: end.stable for partition, end in found.items()}


async def _read(
    consumer: AIOKafkaConsumer, partition: TopicPartition, start: int, end: int
) -> AsyncIterator[DeadLetter]:
    consumer.assign([partition])
    consumer.seek(partition, start)
    while start < end and await consumer.position(partition) < end:
        fetched = await consumer.getmany(partition, timeout_ms=POLL_MS, max_records=AT_ONCE)
        for record in fetched.get(partition, ()):
            if record.offset < end:
                yield _letter(record)


def _letter(record: ConsumerRecord) -> DeadLetter:
    headers = {name: (value or b"").decode(errors="replace") for name, value in record.headers}
    return DeadLetter(
        partition=record.partition,
        offset=record.offset,
        key=record.key,
        raw=record.value,
        reason=headers.get("reason", ""),
        detail=headers.get("detail", ""),
        topic=headers.get("topic", ""),
        source=f"{headers.get('partition', '?')}:{headers.get('offset', '?')}",
    )
