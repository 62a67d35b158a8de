"""Appends records of any size: whole, or in the largest form that the topic takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from fraudapp.kafka.idempotence import TOO_LARGE
from fraudapp.kafka.producer import LARGEST_BATCH, BatchProducer, NewRecord, size_of


@dataclass(eq=False)
class Message:
    """What is to be sent, and what may be sent in its place if a topic does not take it."""

    whole: NewRecord
    lesser: Callable[[], Iterator[NewRecord]] = lambda: iter(())
    """The largest first; asked for only when needed."""


async def append_fitting(
    producer: BatchProducer, topic: str, partition: int, messages: Iterable[Message], what: str
) -> list[Message]:
    """Append messages in their order, and return those that the topic takes in no form.

    Each that is too large by itself is refused by itself: its neighbours are appended once.
    See `BatchProducer.append`.
    """
    refused: list[Message] = []
    for batch in _batches(messages):
        refused += await _append(producer, topic, partition, batch, what)
    return refused


async def _append(
    producer: BatchProducer, topic: str, partition: int, batch: Sequence[Message], what: str
) -> list[Message]:
    try:
        await producer.append(topic, partition, [each.whole for each in batch], what)
    except TOO_LARGE:
        if len(batch) == 1:
            fits = await _append_less(producer, topic, partition, batch[0], what)
            return [] if fits else list(batch)
        half = len(batch) // 2
        return [
            *await _append(producer, topic, partition, batch[:half], what),
            *await _append(producer, topic, partition, batch[half:], what),
        ]
    return []


async def _append_less(
    producer: BatchProducer, topic: str, partition: int, message: Message, what: str
) -> bool:
    for record in message.lesser():
        try:
            await producer.append(topic, partition, [record], what)
        except TOO_LARGE:
            continue
        return True
    return False


def _batches(messages: Iterable[Message]) -> Iterator[list[Message]]:
    """Put together what goes in one batch: a broker takes or refuses it as one."""
    batch: list[Message] = []
    total = 0
    for message in messages:
        size = size_of(message.whole)
        if batch and total + size > LARGEST_BATCH:
            yield batch
            batch, total = [], 0
        batch.append(message)
        total += size
    if batch:
        yield batch
