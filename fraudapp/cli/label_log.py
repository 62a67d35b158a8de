"""The labels of one transaction, read from the topic that they are told in."""

from __future__ import annotations

from typing import Final

from aiokafka import TopicPartition

from fraudapp.kafka.clients import started_consumer
from fraudapp.kafka.offsets import ends
from fraudapp.messages.inputs import input_of
from fraudapp.settings import Settings
from models.errors import NeedsOperator
from models.inputs import Input, Position
from models.key_hash import key_partitions
from models.labels.parsing import InvalidLabel, parse
from models.labels.records import Said
from models.labels.state import Labels, apply

_POLL_MS: Final = 1_000


async def labels_of(settings: Settings, transaction_id: str) -> Labels:
    """Return what all sources have said of a transaction, whether it was decided or not.

    A label that became a dead letter, since its transaction was not decided in time, is among them.
    Reads the whole partition of the id. Raises `KafkaError`, or `NeedsOperator` if there is no such
    topic.
    """
    topic = settings.labels_topic
    partition = key_partitions([transaction_id], settings.topic_partitions)[0]
    tp = TopicPartition(topic, partition)
    found: Labels = {}
    origins = set[Position]()
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
                each = input_of(record, settings.topic_partitions)
                if each.origin != each.position:
                    if each.origin in origins:  # of one that is rerouted twice, the first counts
                        continue
                    origins.add(each.origin)
                _take(found, each, transaction_id)
    return found


def _take(found: Labels, each: Input, transaction_id: str) -> None:
    try:
        label = parse(each.raw)
    except InvalidLabel:
        return  # a dead letter
    if label.transaction_id == transaction_id:
        said = Said(label=label.label, at=label.at, by=label.by, offset=each.position.offset)
        apply(found, label.source, said)
