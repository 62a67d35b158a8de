"""The labels of the labelled topic, as they are now."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from aiokafka import TopicPartition

from fraudapp.kafka.clients import started_consumer
from fraudapp.kafka.offsets import ends, within_time
from fraudapp.labels.records import LabelledRecord, labelled_records
from fraudapp.settings import Settings
from models.training.from_decisions import Told

_POLL_MS: Final = 200


async def told(settings: Settings) -> dict[str, Told]:
    """Return what the labels on each transaction come to, by id; raises `KafkaError`."""
    found: dict[str, Told] = {}
    partitions = settings.topic_partitions
    topics = [TopicPartition(settings.labelled_topic, each) for each in range(partitions)]
    async with started_consumer(settings) as consumer:
        last = {tp: end.stable for tp, end in (await ends(consumer, topics)).items()}
        consumer.assign(topics)
        await consumer.seek_to_beginning(*topics)
        for tp, end in last.items():
            consumer.pause(*(each for each in topics if each != tp))
            consumer.resume(tp)
            while await within_time(consumer.position(tp)) < end:
                fetched = await consumer.getmany(tp, timeout_ms=_POLL_MS)
                raw = [each for each in fetched.get(tp, ()) if each.offset < end]
                keep_newest(found, labelled_records(raw, partitions, settings.transaction_schema))
    return found


def keep_newest(found: dict[str, Told], records: Iterable[LabelledRecord]) -> None:
    """Take records in; of one id, the largest version counts, whatever came first."""
    for each in records:
        new = each.labelled
        known = found.get(new.transaction_id)
        if known is None or known.version < new.version:
            found[new.transaction_id] = Told(new.version, new.label, new.source)
