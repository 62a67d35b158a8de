"""Appends records of any size: whole, or in the largest form that the topic takes.

A dead letter or a rerouted input may be larger than its own topic allows, but must not be lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from fraudapp.kafka.idempotence import TOO_LARGE
from fraudapp.kafka.producer import MAX_PRODUCER_BATCH_BYTES, BatchProducer, NewRecord, size_of


@dataclass(eq=False)
class Message:
    """A record to append, and smaller forms of it, for a topic that does not take it whole."""

    whole: NewRecord
    smaller: Callable[[], Iterator[NewRecord]] = lambda: iter(())
    """Yields the smaller forms, the largest first; called only if the topic refuses the record."""


async def append_fitting(
    producer: BatchProducer, topic: str, partition: int, messages: Iterable[Message], what: str
) -> list[Message]:
    """Append messages in their order, and return those that the topic takes in no form.

    A message that is too large does not make the others of its batch fail, nor be appended twice.
    `what` names the operation in the log. For retries see `BatchProducer.append`.
    """
    refused: list[Message] = []
    for batch in _in_batches(messages):
        refused += await _append(producer, topic, partition, batch, what)
    return refused


async def _append(
    producer: BatchProducer, topic: str, partition: int, batch: Sequence[Message], what: str
) -> list[Message]:
    try:
        await producer.append(topic, partition, [each.whole for each in batch], what)
    except TOO_LARGE:
        if len(batch) == 1:
            appended = await _append_smaller(producer, topic, partition, batch[0], what)
            return [] if appended else list(batch)
        half = len(batch) // 2
        return [
            *await _append(producer, topic, partition, batch[:half], what),
            *await _append(producer, topic, partition, batch[half:], what),
        ]
    return []


async def _append_smaller(
    producer: BatchProducer, topic: str, partition: int, message: Message, what: str
) -> bool:
    for record in message.smaller():
        try:
            await producer.append(topic, partition, [record], what)
        except TOO_LARGE:
            continue
        return True
    return False


def _in_batches(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """Group messages into batches, each of which the broker takes or refuses as a whole."""
    batch: list[Message] = []
    total = 0
    for message in messages:
        size = size_of(message.whole)
        if batch and total + size > MAX_PRODUCER_BATCH_BYTES:
            yield batch
            batch, total = [], 0
        batch.append(message)
        total += size
    if batch:
        yield batch
