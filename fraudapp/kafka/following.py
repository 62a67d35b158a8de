"""The polling of services that follow a topic for as long as they run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, cast

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from mode import Service

from fraudapp.operation import Operation

POLL_MS: Final = 1_000
"""Milliseconds to wait for the next records, which also bounds how long stopping takes."""
RETRY_SECONDS: Final = 1.0
"""Seconds to the next attempt after a read has failed."""


async def next_records(
    service: Service, consumer: AIOKafkaConsumer, operation: Operation
) -> Mapping[TopicPartition, Sequence[ConsumerRecord]] | None:
    """Return the next records of all assigned partitions, by partition; {} if none come in time.

    Returns None if they cannot be read, after `RETRY_SECONDS`; raises no `KafkaError`. `operation`
    notes each success and failure.
    """
    try:
        fetched = await consumer.getmany(timeout_ms=POLL_MS)
    except KafkaError as exc:
        operation.failed(exc)
        await service.sleep(RETRY_SECONDS)
        return None
    operation.succeeded()
    return cast("Mapping[TopicPartition, Sequence[ConsumerRecord]]", fetched)
