"""The parts of the daily report that only Kafka knows: dead letters, latency, and models.

Latency needs the moments at which transactions were sent, which are timestamps of records.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from typing import Final, get_args

from aiokafka import ConsumerRecord, TopicPartition

from fraudapp.control.reader import read_all
from fraudapp.kafka.clients import started_consumer
from fraudapp.kafka.offsets import ends
from fraudapp.messages.dead_letter import texts_of
from fraudapp.reports.daily import Latency, by_count
from fraudapp.reports.from_postgres import Sampled
from fraudapp.settings import Settings
from models.control.records import Published
from models.control.state import ControlState
from models.inputs import Cause

POLL_MS: Final = 1_000
FETCH_BYTES: Final = 1 << 16  # one record is wanted; Kafka sends it whole if it is larger
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


async def models(settings: Settings) -> Mapping[str, Published]:
    """Return the models that all workers have, by version; raises `KafkaError`."""
    known = ControlState()
    await read_all(settings, known.apply)
    return known.models


async def dead_letters(settings: Settings, first: datetime, last: datetime) -> dict[str, int]:
    """Count the dead letters from one moment to another, by reason; raises `KafkaError`.

    The timestamps of the records count. They are from the clocks of brokers, or from those of
    workers if the topic was not made by a worker. Records of other programs may have any timestamp
    and any headers, and none of them hides a dead letter.
    """
    since, until = max(0, _ms(first)), _ms(last)  # Kafka has no timestamps before 1970
    if until < 0:
        return {}
    topic = settings.dead_letters_topic
    counts: Counter[str] = Counter()
    size = 2 * settings.max_message_bytes
    async with started_consumer(settings, max_partition_fetch_bytes=size) as consumer:
        known = await consumer._client._wait_on_metadata(topic)
        partitions = [TopicPartition(topic, partition) for partition in sorted(known)]
        starts = await consumer.offsets_for_times(dict.fromkeys(partitions, since))
        found = await ends(consumer, partitions)
        for partition in partitions:
            if (start := starts[partition]) is None:
                continue
            # Read to its end: a record with a timestamp after the period does not end the period.
            consumer.assign([partition])
            consumer.seek(partition, start.offset)
            while await consumer.position(partition) < found[partition].stable:
                fetched = await consumer.getmany(partition, timeout_ms=POLL_MS, max_records=100)
                for record in fetched.get(partition, ()):
                    if since <= record.timestamp <= until:
                        counts[_reason(record)] += 1
    return by_count(counts)


async def latency(settings: Settings, sample: Sequence[Sampled]) -> Latency | None:
    """Measure the latency of sampled decisions; None if Kafka has none of their transactions.

    The clocks of producers say when a transaction was sent, so the latency is as right as they are.
    A transaction that seems to be decided before it was sent counts as 0 s. Raises `KafkaError`.
    """
    wanted: defaultdict[TopicPartition, list[Sampled]] = defaultdict(list)
    for each in sample:
        if each.topic == settings.transactions_topic:
            wanted[TopicPartition(each.topic, each.partition)].append(each)
    seconds: list[float] = []
    async with started_consumer(settings, max_partition_fetch_bytes=FETCH_BYTES) as consumer:
        known = await consumer._client._wait_on_metadata(settings.transactions_topic)
        for partition in [each for each in wanted if each.partition in known]:
            begin = (await consumer.beginning_offsets([partition]))[partition]
            end = (await ends(consumer, [partition]))[partition].stable
            consumer.assign([partition])
            for each in wanted[partition]:
                if not begin <= each.offset < end:
                    continue
                consumer.seek(partition, each.offset)
                fetched = await consumer.getmany(partition, timeout_ms=POLL_MS, max_records=1)
                for record in fetched.get(partition, ()):
                    if (
                        record.offset == each.offset and record.timestamp >= 0
                    ):  # -1: the record has none
                        sent = record.timestamp / 1_000
                        seconds.append(max(0.0, each.decided_at.timestamp() - sent))
    seconds.sort()
    if not seconds:
        return None
    return Latency(len(seconds), *(_percentile(seconds, q) for q in (50, 95, 99)))


def _reason(record: ConsumerRecord) -> str:
    reason = texts_of(record).get("reason", "")
    return reason if reason in get_args(Cause) else "unknown"


def _percentile(values: Sequence[float], percent: int) -> float:
    """Return the nearest rank, to the millisecond: Kafka's timestamps are no more precise."""
    return round(values[math.ceil(percent * len(values) / 100) - 1], 3)


def _ms(moment: datetime) -> int:
    """Return milliseconds since 1970, exactly; a float would not be exact in the year 9999."""
    return (moment - _EPOCH) // timedelta(milliseconds=1)
