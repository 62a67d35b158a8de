"""Reads topics from some offsets to their ends, each partition when its records are wanted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from time import monotonic
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaTimeoutError

from fraudapp.decisions.reader import LogCut, LogDamaged
from fraudapp.kafka.clients import started_consumer
from fraudapp.kafka.offsets import ANSWER_TIMEOUT, ends, within_time, written_since
from fraudapp.settings import Settings
from fraudapp.verifying.merging import Chunks
from models.errors import NeedsOperator
from models.parsing import Damaged

MAX_RECORDS: Final = 1_000
"""Records of a partition that are yielded at once, at most."""
_POLL_MS: Final = 200


class Reading:
    """Partitions of several topics, up to where they ended at first."""

    def __init__(self, consumer: AIOKafkaConsumer, last: Mapping[TopicPartition, int]) -> None:
        """`consumer` is assigned the partitions that are in `last`, with their ends."""
        self._consumer = consumer
        self._last = last

    def of(self, topic: str) -> Sequence[Chunks[ConsumerRecord]]:
        """Return the records of each partition of a topic, in the order of partitions.

        They raise `KafkaError`: `LogDamaged` for a damaged record, and `LogCut` if the topic loses
        records before they are read.
        """
        return [self._records(tp) for tp in sorted(self._last) if tp.topic == topic]

    async def _records(self, tp: TopicPartition) -> Chunks[ConsumerRecord]:
        consumer, end, progress = self._consumer, self._last[tp], monotonic()
        while (position := await within_time(consumer.position(tp))) < end:
            fetched = await consumer.getmany(tp, timeout_ms=_POLL_MS, max_records=MAX_RECORDS)
            raw = fetched.get(tp, ())
            if raw and raw[0].offset < position:
                # aiokafka begins anew, in silence, where an offset is there no longer.
                raise LogCut(f"{tp.topic}/{tp.partition} was cut while it was read")
            for each in raw:
                if type(each.value) is Damaged:
                    raise LogDamaged(f"{tp.topic}/{tp.partition}/{each.offset} is damaged")
            if raw:
                progress = monotonic()
                yield [each for each in raw if each.offset < end]
            elif monotonic() - progress > ANSWER_TIMEOUT:
                raise KafkaTimeoutError(
                    f"{tp.topic}/{tp.partition} was not read from {position} on to {end}"
                )


@asynccontextmanager
async def reading(
    settings: Settings, since: Mapping[str, datetime | None]
) -> AsyncIterator[Reading]:
    """Read topics, each from a moment on by the broker's clock, or from its begin.

    A topic earlier in `since` ends no later than those after it. Of records behind an open
    transaction, which cannot be read yet, none is read. Raises `KafkaError`, or `NeedsOperator` if
    there is no such topic.
    """
    async with started_consumer(settings) as consumer:
        last: dict[TopicPartition, int] = {}
        first: dict[TopicPartition, int] = {}
        # Some brokers make a topic when they are asked for it by its name.
        known = await consumer.topics()
        for topic, moment in since.items():
            if topic not in known:
                raise NeedsOperator(
                    f"there is no topic {topic} at FRAUD_BROKER_URL={settings.broker_url}: "
                    "`fraudapp init` makes it, and so does the first worker"
                )
            partitions = [TopicPartition(topic, each) for each in range(settings.topic_partitions)]
            found = {tp: end.stable for tp, end in (await ends(consumer, partitions)).items()}
            last |= found
            first |= await consumer.beginning_offsets(partitions)
            if moment is not None:
                first |= await written_since(consumer, moment, found)
        consumer.assign([*last])
        for tp, offset in first.items():
            consumer.seek(tp, offset)
        yield Reading(consumer, last)
