"""Decisions of a period, from the decision log."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from aiokafka import TopicPartition

from fraudapp.backtests.period import Period
from fraudapp.decisions.reader import LogReader
from fraudapp.kafka.clients import started_consumer
from fraudapp.kafka.offsets import ends, written_since
from fraudapp.settings import Settings
from models.records import Decision

FETCH_BYTES: Final = 4 << 20
"""Bytes that one fetch brings: some thousand decisions."""


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
            first = await written_since(consumer, period.read_since, last)
        if period.has_end:
            last = await written_since(consumer, period.read_until, last)
    return {tp.partition: (first[tp], last[tp]) for tp in partitions if first[tp] < last[tp]}
