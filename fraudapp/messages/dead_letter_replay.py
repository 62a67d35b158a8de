"""Sending dead letters back to where they came from."""

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

PATIENCE: Final = 120.0
"""Seconds that the broker may take for the letters of one call."""


class Replayed(NamedTuple):
    """What became of letters that were to be sent back."""

    sent: int
    refused: list[str]
    """A sentence for each that was not."""
    remembered: bool = True
    """Whether it was known which letters had been sent before."""


async def replay(
    settings: Settings, letters: Sequence[DeadLetter], repaired: bytes | None = None
) -> Replayed:
    """Send letters to the topic they came from, `repaired` in place of the raw bytes if given.

    One that cannot be sent holds up no other. Sending one twice is harmless: a transaction is
    decided once. Raises `KafkaError`.
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
        # Compressed, as what is larger than the limit was when it came in.
        producer = BatchProducer(settings, "gzip")
        try:
            await producer.start()
            too_large = await asyncio.wait_for(_send(producer, topic, sendable, repaired), PATIENCE)
        except asyncio.TimeoutError:
            raise KafkaTimeoutError(f"not done after {PATIENCE:g} s") from None
        finally:
            await producer.stop()
        refused += [
            f"dead letter {each.name} cannot be sent back: {topic} takes no message of that size"
            for each in too_large
        ]
    return Replayed(len(letters) - len(refused), refused)


async def _send(
    producer: BatchProducer, topic: str, letters: Sequence[DeadLetter], repaired: bytes | None
) -> list[DeadLetter]:
    """Return the letters that are too large."""
    partitions = await producer.partitions(topic)
    messages: defaultdict[int, list[Message]] = defaultdict(list)
    letter_of: dict[int, DeadLetter] = {}
    for letter in letters:
        value = letter.raw if repaired is None else repaired
        key = None if "key-bytes" in letter.lost else letter.key
        message = Message((key, value, []))
        letter_of[id(message)] = letter
        messages[destination(letter, value, partitions)].append(message)
    refused = [
        each
        for number, those in messages.items()
        for each in await append_fitting(producer, topic, number, those, "sending letters back")
    ]
    return [letter_of[id(message)] for message in refused]
