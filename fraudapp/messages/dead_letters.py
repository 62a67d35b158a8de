"""Reads the dead-letter topic, for the commands that show or replay dead letters."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiokafka import AIOKafkaConsumer, TopicPartition

from fraudapp.kafka.clients import started_consumer
from fraudapp.kafka.offsets import ends
from fraudapp.kafka.topic_ids import committed, to_commit, topic_ids
from fraudapp.messages.dead_letter import DeadLetter, dead_letter_of
from fraudapp.messages.dead_letter_replay import Replayed, replay
from fraudapp.settings import Settings

POLL_MS = 1_000
"""Milliseconds that one poll waits for records, at most."""
MAX_BATCH = 100
"""Dead letters held in memory, at most; each may be as large as the topic allows."""
MAX_BATCH_BYTES = 16_000_000
"""Bytes of dead letters after which a batch is replayed."""


async def read_all(settings: Settings) -> AsyncIterator[DeadLetter]:
    """Yield every dead letter that is there at the time of the call; raises `KafkaError`."""
    async with _consumer(settings) as consumer:
        for tp, end in (await _ends(consumer, settings)).items():
            async for letter in _read(consumer, tp, 0, end):
                yield letter


async def read_one(settings: Settings, partition: int, offset: int) -> DeadLetter | None:
    """Return the dead letter at a position, or None if there is none; raises `KafkaError`."""
    async with _consumer(settings) as consumer:
        tp = TopicPartition(settings.dead_letters_topic, partition)
        if offset >= (await _ends(consumer, settings)).get(tp, 0):
            return None
        async for letter in _read(consumer, tp, offset, offset + 1):
            return letter
    return None


async def replay_new(settings: Settings, reason: str | None) -> Replayed:
    """Replay the dead letters, all or those with a `reason`, that came since the last call.

    A dead letter that cannot be sent is reported, and is not tried again. An input that is rejected
    again becomes a new dead letter behind the end of this call, so that no call goes on for ever.
    The end is the committed offset of a consumer group, one for each reason. By default, brokers
    forget it after a week without use. Raises `KafkaError`.
    """
    count = 0
    remembered = True
    refused: list[str] = []
    group = f"{settings.app_id}-dead-letters-replay-{reason or 'all'}"
    async with _consumer(settings, group) as consumer:
        ends_ = await _ends(consumer, settings)
        ids = await topic_ids(consumer._client, [settings.dead_letters_topic])
        for tp, end in ends_.items():
            consumer.assign([tp])
            start = (await committed(consumer, [tp], ids)).get(tp)
            remembered &= start is not None or end == 0
            async for letters in _batches(_read(consumer, tp, start or 0, end), reason):
                done = await replay(settings, letters)
                count += done.sent
                refused += done.refused
            await consumer.commit(to_commit({tp: end}, ids))
    return Replayed(count, refused, remembered)


async def _batches(
    letters: AsyncIterator[DeadLetter], reason: str | None
) -> AsyncIterator[list[DeadLetter]]:
    batch: list[DeadLetter] = []
    size = 0
    async for letter in letters:
        if reason not in (None, letter.reason):
            continue
        batch.append(letter)
        size += len(letter.key or b"") + len(letter.raw or b"")
        if len(batch) == MAX_BATCH or size >= MAX_BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


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
    partitions = sorted(await consumer._client._wait_on_metadata(topic))
    found = await ends(consumer, [TopicPartition(topic, partition) for partition in partitions])
    return {tp: end.stable for tp, end in found.items()}


async def _read(
    consumer: AIOKafkaConsumer, tp: TopicPartition, start: int, end: int
) -> AsyncIterator[DeadLetter]:
    consumer.assign([tp])
    consumer.seek(tp, start)
    while start < end and await consumer.position(tp) < end:
        fetched = await consumer.getmany(tp, timeout_ms=POLL_MS, max_records=MAX_BATCH)
        for record in fetched.get(tp, ()):
            if record.offset < end:
                yield dead_letter_of(record)
