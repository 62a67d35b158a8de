"""Replays dead letters: sends them back to the topic that they came from."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Final, NamedTuple

from aiokafka.errors import KafkaTimeoutError

from fraudapp.kafka.producer import BatchProducer
from fraudapp.messages.dead_letter import CannotReplay, DeadLetter, check, destination
from fraudapp.messages.fitting import Message, append_fitting
from fraudapp.settings import Settings

REPLAY_TIMEOUT: Final = 120.0
"""Seconds that the broker may take for the dead letters of one call."""


class Replayed(NamedTuple):
    """The result of a replay."""

    sent: int
    """Number of dead letters that were sent."""
    refused: list[str]
    """A sentence for each dead letter that was not sent."""
    remembered: bool = True
    """Whether the broker knew where the last replay had ended."""


async def replay(
    settings: Settings, letters: Sequence[DeadLetter], repaired: bytes | None = None
) -> Replayed:
    """Send dead letters back, with the value `repaired` in place of the raw bytes if given.

    A dead letter that cannot be sent does not hold up the others. It is harmless to send one
    twice, since a transaction is decided once. Raises `KafkaError`.
    """
    topic = settings.transactions_topic
    sendable, refused = [], []
    for letter in letters:
        try:
            check(letter, topic, repaired is not None)
        except CannotReplay as exc:
            refused.append(str(exc))
        else:
            sendable.append(letter)
    if sendable:
        # An input may exceed the size limit unless it is compressed, as it was when it came in.
        producer = BatchProducer(settings, "gzip")
        try:
            await producer.start()
            too_large = await asyncio.wait_for(
                _send(producer, settings, sendable, repaired), REPLAY_TIMEOUT
            )
        except asyncio.TimeoutError:
            raise KafkaTimeoutError(f"not done after {REPLAY_TIMEOUT:g} s") from None
        finally:
            await producer.stop()
        refused += [
            f"dead letter {each.name} cannot be sent back: {topic} accepts no message of that size"
            for each in too_large
        ]
    return Replayed(len(letters) - len(refused), refused)


async def _send(
    producer: BatchProducer,
    settings: Settings,
    letters: Sequence[DeadLetter],
    repaired: bytes | None,
) -> list[DeadLetter]:
    """Send dead letters, and return those that are too large for the topic."""
    topic, schema = settings.transactions_topic, settings.transaction_schema
    partitions = await producer.partitions(topic)
    messages: defaultdict[int, list[Message]] = defaultdict(list)
    letter_by_message: dict[int, DeadLetter] = {}
    for letter in letters:
        value = letter.raw if repaired is None else repaired
        key = None if "key-bytes" in letter.lost else letter.key
        message = Message((key, value, []))
        letter_by_message[id(message)] = letter
        messages[destination(letter, value, partitions, schema)].append(message)
    refused = [
        each
        for partition, batch in messages.items()
        for each in await append_fitting(
            producer, topic, partition, batch, "replaying dead letters"
        )
    ]
    return [letter_by_message[id(message)] for message in refused]
