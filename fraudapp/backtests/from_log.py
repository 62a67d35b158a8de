"""Decisions of a period, from the decision log."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import datetime, timedelta, timezone
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from fraudapp.backtests.period import Period
from fraudapp.decisions.reader import LogReader
from fraudapp.kafka.clients import started_consumer
from fraudapp.kafka.offsets import ends
from fraudapp.settings import Settings
from models.records import Decision

FETCH_BYTES: Final = 4 << 20
"""Bytes that one fetch brings: some thousand decisions."""
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


async def decisions(settings: Settings, period: Period) -> AsyncIterator[list[Decision]]:
    """Yield what a period may hold, partition by partition, each in the order of the log.

    Records that no worker can have written are left out. Raises `KafkaError`.
    """
    if not (ranges := await _ranges(settings, period)):
        return
    reader = LogReader(settings, max_partition_fetch_bytes=FETCH_BYTES)
    try:
        await reader.start()
        for partition, (start, end) in ranges.items():
            async for records in reader.read(partition, start, end):
                yield [each.decision for each in records]
    finally:
        await reader.stop()


async def _ranges(settings: Settings, period: Period) -> dict[int, tuple[int, int]]:
    """Return the offsets of each partition that may be of the period, by the brokers' timestamps.

    Of records behind an open transaction, which cannot be read yet, none is.
    """
    topic = settings.decisions_topic
    partitions = [TopicPartition(topic, each) for each in range(settings.topic_partitions)]
    async with started_consumer(settings) as consumer:
        last = {tp: end.stable for tp, end in (await ends(consumer, partitions)).items()}
        first = await consumer.beginning_offsets(partitions)
        if period.has_begin:
            first = await _at(consumer, period.read_since, last)
        if period.has_end:
            last = await _at(consumer, period.read_until, last)
    return {tp.partition: (first[tp], last[tp]) for tp in partitions if first[tp] < last[tp]}


async def _at(
    consumer: AIOKafkaConsumer, moment: datetime, otherwise: Mapping[TopicPartition, int]
) -> dict[TopicPartition, int]:
    """Return the first offset of each partition that was written at a moment or later."""
    timestamp = max(0, (moment - _EPOCH) // timedelta(milliseconds=1))
    found = await consumer.offsets_for_times(dict.fromkeys(otherwise, timestamp))
    return {
        tp: each.offset if (each := found.get(tp)) and each.offset >= 0 else end
        for tp, end in otherwise.items()
    }
