"""Decisions in the log, without a worker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from fraudapp.decisions.batch import Batch
from fraudapp.kafka import topics
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.settings import Settings
from models.key_hash import key_partitions
from models.records import Decision


async def written(settings: Settings, decisions: Sequence[Decision]) -> None:
    """Write decisions where a worker writes them; makes the topics that are missing."""
    await topics.ensure(settings)
    batch = Batch(decisions)
    by_partition: defaultdict[int, list[NewRecord]] = defaultdict(list)
    ids = [each.transaction_id for each in decisions]
    places = key_partitions(ids, settings.topic_partitions)
    for place, key, value in zip(places, batch.keys, batch.encoded, strict=True):
        by_partition[place].append((key, value, []))
    producer = BatchProducer(settings)
    await producer.start()
    try:
        for place, records in by_partition.items():
            await producer.append(settings.decisions_topic, place, records, "filling")
    finally:
        await producer.stop()
