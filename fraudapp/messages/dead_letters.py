"""Reading the topic of dead letters, to show them or to send them back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from fraudapp.kafka.clients import started_consumer
from fraudapp.kafka.offsets import ends
from fraudapp.kafka.topic_ids import committed, to_commit, topic_ids
from fraudapp.messages.dead_letter import DeadLetter, letter_of
from fraudapp.messages.dead_letter_replay import Replayed, replay
from fraudapp.settings import Settings

POLL_MS = 1_000
AT_ONCE = 100
"""Letters held in memory; each can be some megabytes."""
BYTES_AT_ONCE = 16_000_000
"""Bytes of letters after which they are sent."""


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


async def replay_new(settings: Settings, reason: str | None) -> Replayed:
    """Send back all letters, or those with a reason, that came since this was last done.

    What cannot be sent is told, and not tried again. What is rejected again becomes a new letter,
    so nothing is sent for ever. When it was last done is in a consumer group, which brokers forget
    after a week, unless told otherwise. Raises `KafkaError`.
    """
    count = 0
    remembered = True
    refused: list[str] = []
    group = f"{settings.app_id}-dead-letters-replay-{reason or 'all'}"
    async with _consumer(settings, group) as consumer:
        ends_ = await _ends(consumer, settings)
        ids = await topic_ids(consumer._client, [settings.dead_letters_topic])
        for partition, end in ends_.items():
            consumer.assign([partition])
            start = (await committed(consumer, [partition], ids)).get(partition)
            remembered &= start is not None or end == 0
            async for letters in _portions(_read(consumer, partition, start or 0, end), reason):
                done = await replay(settings, letters)
                count += done.sent
                refused += done.refused
            await consumer.commit(to_commit({partition: end}, ids))
    return Replayed(count, refused, remembered)


async def _portions(
    letters: AsyncIterator[DeadLetter], reason: str | None
) -> AsyncIterator[list[DeadLetter]]:
    portion: list[DeadLetter] = []
    size = 0
    async for letter in letters:
        if reason not in (None, letter.reason):
            continue
        portion.append(letter)
        size += len(letter.key or b"") + len(letter.raw or b"")
        if len(portion) == AT_ONCE or size >= BYTES_AT_ONCE:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion


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
                yield letter_of(record)
