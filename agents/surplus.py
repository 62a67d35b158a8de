"""Partitions of the input beyond those of the decision log: what they hold is sent on.

Homes of ids depend on the number of partitions of the log, which stays. Where the topic of
transactions has more, such as after somebody has added some, their messages are put into the others
as they are, and decided, sent home or rejected there.
"""

from __future__ import annotations

from typing import Any

from faust.types import EventT

from fraudapp.app import runtime, settings
from fraudapp.publishing import send_raw
from fraudapp.transport import run_of
from models.admission import Input, Position


def is_surplus(partition: int) -> bool:
    """Whether nothing is decided in this partition."""
    return partition >= settings.topic_partitions


async def send_on(event: EventT[Any]) -> None:
    """Put the messages of a run where they are dealt with; returns once the broker has them.

    A crash may put some there twice: a transaction is decided once all the same.
    """
    inputs = []
    for record in run_of(event.message).records:
        position = Position(record.topic, record.partition, record.offset)
        inputs.append(Input(record.key, record.value, position, position))
    partition = event.message.partition % settings.topic_partitions
    await send_raw(runtime.appender, settings.transactions_topic, partition, inputs)
