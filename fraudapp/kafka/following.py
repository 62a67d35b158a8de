"""What services have in common that follow a topic for as long as they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from mode import Service

from fraudapp.operation import Operation

POLL_MS: Final = 1_000
"""Longest wait for the next records, which also bounds how long stopping takes."""
RETRY: Final = 1.0
"""Seconds until it is tried again to read what could not be read."""


async def next_records(
    service: Service, consumer: AIOKafkaConsumer, operation: Operation
) -> Mapping[TopicPartition, Sequence[ConsumerRecord]] | None:
    """Return what comes next of all that is assigned; None if it cannot be read, after a while.

    `operation` is told which of both it is.
    """
    try:
        fetched = await consumer.getmany(timeout_ms=POLL_MS)
    except KafkaError as exc:
        operation.failed(exc)
        await service.sleep(RETRY)
        return None
    operation.succeeded()
    return cast("Mapping[TopicPartition, Sequence[ConsumerRecord]]", fetched)
