"""Partitions of the input beyond those of the decision log: what they hold is sent on.

Homes of ids depend on the number of partitions of the log, which stays. Where the topic of
transactions has more, such as after somebody has added some, their messages are put into the others
as they are, and decided, sent home or rejected there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from agents.partition_queues import Events, number_of
from fraudapp.app import runtime, settings
from fraudapp.kafka.consumer import run_of
from fraudapp.messages.publish import send_raw
from models.admission import Input, Position


def is_surplus(partition: int) -> bool:
    """Whether nothing is decided in this partition."""
    return partition >= settings.topic_partitions


@dataclass
class Surplus:
    """What a batch holds of one such partition."""

    number: int
    events: Events


async def as_it_is(batch: Sequence[Events]) -> Sequence[Surplus]:
    """Return all of it: there is nothing to decide."""
    return [Surplus(number_of(events), events) for events in batch]


async def send_on(surplus: Surplus) -> None:
    """Put messages where they are dealt with; returns once the broker has them.

    A crash may put some there twice: a transaction is decided once all the same.
    """
    inputs = []
    for event in surplus.events:
        for record in run_of(event.message).records:
            position = Position(record.topic, record.partition, record.offset)
            inputs.append(Input(record.key, record.value, position, position))
    partition = surplus.number % settings.topic_partitions
    await send_raw(runtime.appender, settings.transactions_topic, partition, inputs)
