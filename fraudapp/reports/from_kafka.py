"""What only Kafka knows of a day: its dead letters, and when transactions were sent."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Final, get_args

from aiokafka import ConsumerRecord, TopicPartition

from fraudapp.kafka.clients import started_consumer
from fraudapp.kafka.offsets import ends
from fraudapp.messages.dead_letter import texts_of
from fraudapp.reports.daily import Latency, by_count
from fraudapp.reports.from_postgres import Sampled
from fraudapp.settings import Settings
from models.inputs import Cause

POLL_MS: Final = 1_000
FETCH_BYTES: Final = 1 << 16  # one record is wanted; Kafka sends it whole if it is larger
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


async def dead_letters(settings: Settings, first: datetime, last: datetime) -> dict[str, int]:
    """Count the dead letters from one moment to another, by reason; raises `KafkaError`.

    By the timestamps of the records, which are the brokers' clocks, or those of workers in a topic
    that they have not made. Whatever fingerprints and headers
    somebody else's records have there, they hide none of ours.
    """
    since, until = max(0, _ms(first)), _ms(last)  # Kafka knows no time before 1970
    if until < 0:
        return {}
    topic = settings.dead_letters_topic
    counts: Counter[str] = Counter()
    size = 2 * settings.max_message_bytes
    async with started_consumer(settings, max_partition_fetch_bytes=size) as consumer:
        numbers = await consumer._client._wait_on_metadata(topic)
        partitions = [TopicPartition(topic, number) for number in sorted(numbers)]
        starts = await consumer.offsets_for_times(dict.fromkeys(partitions, since))
        found = await ends(consumer, partitions)
        for partition in partitions:
            if (start := starts[partition]) is None:
                continue
            # To the end: a record with a timestamp of the future does not end the period.
            consumer.assign([partition])
            consumer.seek(partition, start.offset)
            while await consumer.position(partition) < found[partition].stable:
                fetched = await consumer.getmany(partition, timeout_ms=POLL_MS, max_records=100)
                for record in fetched.get(partition, ()):
                    if since <= record.timestamp <= until:
                        counts[_reason(record)] += 1
    return by_count(counts)


async def latency(settings: Settings, sample: Sequence[Sampled]) -> Latency | None:
    """Measure a sample of decisions; None if none of their transactions is left in Kafka.

    Raises `KafkaError`. Producers' clocks say when a transaction was sent, so this is as right as
    they are; what seems to be decided before it was sent counts as 0.
    """
    wanted: defaultdict[TopicPartition, list[Sampled]] = defaultdict(list)
    for each in sample:
        if each.topic == settings.transactions_topic:
            wanted[TopicPartition(each.topic, each.partition)].append(each)
    took: list[float] = []
    async with started_consumer(settings, max_partition_fetch_bytes=FETCH_BYTES) as consumer:
        known = await consumer._client._wait_on_metadata(settings.transactions_topic)
        for partition in [each for each in wanted if each.partition in known]:
            begins = (await consumer.beginning_offsets([partition]))[partition]
            end = (await ends(consumer, [partition]))[partition].stable
            consumer.assign([partition])
            for each in wanted[partition]:
                if not begins <= each.offset < end:
                    continue
                consumer.seek(partition, each.offset)
                fetched = await consumer.getmany(partition, timeout_ms=POLL_MS, max_records=1)
                for record in fetched.get(partition, ()):
                    if record.offset == each.offset and record.timestamp >= 0:  # -1: it has none
                        sent = record.timestamp / 1_000
                        took.append(max(0.0, each.decided_at.timestamp() - sent))
    took.sort()
    return Latency(len(took), *(_percentile(took, q) for q in (50, 95, 99))) if took else None


def _reason(record: ConsumerRecord) -> str:
    reason = texts_of(record).get("reason", "")
    return reason if reason in get_args(Cause) else "unknown"


def _percentile(values: Sequence[float], percent: int) -> float:
    """The nearest rank, in milliseconds' precision: Kafka's timestamps have no more."""
    return round(values[math.ceil(percent * len(values) / 100) - 1], 3)


def _ms(moment: datetime) -> int:
    """Milliseconds since 1970; exact, where a float is not in the year 9999."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)
