"""The labels of one transaction, read from the topic that they are told in."""

from __future__ import annotations

from typing import Final

from aiokafka import TopicPartition

from fraudapp.kafka.clients import started_consumer
from fraudapp.kafka.offsets import ends
from fraudapp.settings import Settings
from models.errors import NeedsOperator
from models.key_hash import key_partitions
from models.labels.parsing import InvalidLabel, parse
from models.labels.records import Said
from models.labels.state import Labels, apply

_POLL_MS: Final = 1_000


async def labels_of(settings: Settings, transaction_id: str) -> Labels:
    """Return what all sources have said of a transaction, whether it was decided or not.

    Reads the whole partition of the id. Raises `KafkaError`, or `NeedsOperator` if there is no such
    topic.
    """
    topic = settings.labels_topic
    partition = key_partitions([transaction_id], settings.topic_partitions)[0]
    tp = TopicPartition(topic, partition)
    found: Labels = {}
    async with started_consumer(settings) as consumer:
        # Some brokers make a topic when they are asked for it by its name.
        if topic not in await consumer.topics():
            raise NeedsOperator(
                f"there is no topic {topic} at FRAUD_BROKER_URL={settings.broker_url}: "
                "`fraudapp init` makes it, and so does the first worker"
            )
        end = (await ends(consumer, [tp]))[tp].stable
        consumer.assign([tp])
        await consumer.seek_to_beginning(tp)
        while await consumer.position(tp) < end:
            fetched = await consumer.getmany(tp, timeout_ms=_POLL_MS)
            for record in fetched.get(tp, ()):
                _take(found, record.value, record.offset, transaction_id)
    return found


def _take(found: Labels, value: bytes | None, offset: int, transaction_id: str) -> None:
    try:
        label = parse(value)
    except InvalidLabel:
        return  # a dead letter
    if label.transaction_id == transaction_id:
        said = Said(label=label.label, at=label.at, by=label.by, offset=offset)
        apply(found, label.source, said)
