"""Replays dead letters: sends them back to the topic that they came from."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from aiokafka.errors import KafkaTimeoutError

from fraudapp.kafka.producer import BatchProducer
from fraudapp.messages.dead_letter import CannotReplay, DeadLetter, Parse, check, destination
from fraudapp.messages.fitting import Message, append_fitting
from fraudapp.settings import Settings
from models.labels.parsing import parse as parse_label

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


def parsers(settings: Settings) -> Mapping[str, Parse]:
    """Return how the values of inputs are read, by the topics that dead letters go back to."""
    return {
        settings.transactions_topic: settings.transaction_schema.parser.parse,
        settings.labels_topic: parse_label,
    }


async def replay(
    settings: Settings, letters: Sequence[DeadLetter], repaired: bytes | None = None
) -> Replayed:
    """Send dead letters back, with the value `repaired` in place of the raw bytes if given.

    A dead letter that cannot be sent does not hold up the others. It is harmless to send one of a
    transaction twice, since that is decided once. Of the labels of a source the last in the topic
    counts: one that is sent after the source has spoken again puts the older label in force. Only
    the very same label sent again right away changes nothing. Raises `KafkaError`.
    """
    topics = parsers(settings)
    sendable, refused = [], []
    for letter in letters:
        try:
            check(letter, topics, repaired is not None)
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
                _send(producer, topics, sendable, repaired), REPLAY_TIMEOUT
            )
        except asyncio.TimeoutError:
            raise KafkaTimeoutError(f"not done after {REPLAY_TIMEOUT:g} s") from None
        finally:
            await producer.stop()
        refused += [
            f"dead letter {each.name} cannot be sent back: {each.topic} accepts no message of that "
            "size"
            for each in too_large
        ]
    return Replayed(len(letters) - len(refused), refused)


async def _send(
    producer: BatchProducer,
    topics: Mapping[str, Parse],
    letters: Sequence[DeadLetter],
    repaired: bytes | None,
) -> list[DeadLetter]:
    """Send dead letters, and return those that are too large for their topic."""
    messages: defaultdict[tuple[str, int], list[Message]] = defaultdict(list)
    letter_by_message: dict[int, DeadLetter] = {}
    for letter in letters:
        topic, value = letter.topic, letter.raw if repaired is None else repaired
        key = None if "key-bytes" in letter.lost else letter.key
        message = Message((key, value, []))
        letter_by_message[id(message)] = letter
        partitions = await producer.partitions(topic)
        partition = destination(letter, value, partitions, topics[topic])
        messages[topic, partition].append(message)
    refused = [
        each
        for (topic, partition), batch in messages.items()
        for each in await append_fitting(
            producer, topic, partition, batch, "replaying dead letters"
        )
    ]
    return [letter_by_message[id(message)] for message in refused]
