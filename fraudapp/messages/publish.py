"""What the worker itself sends to Kafka; every function returns once the broker has it all."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Final, cast

from aiokafka.errors import MessageSizeTooLargeError
from faust import App
from faust.exceptions import ProducerSendError
from faust.types import RecordMetadata
from msgspec import json

from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.messages.fitting import Message, append_fitting
from models.inputs import Input, Rejection, ValidInput
from models.parsing import CUT_TO, Unread
from models.records import Transaction

LONGEST_DETAIL: Final = 4_000
"""Characters of a dead letter's detail; bad input decides how long the full text would be."""
SHORT: Final = 1_000
"""Bytes that are left of a key, or of a text in a header, where there is no room for more."""
LESS: Final = (10_000, SHORT, 0)
"""Bytes that are left for topics that take no more."""
ORIGIN: Final = "origin"
"""Header of a message that was sent on to its home partition: where it was first read."""
FORM: Final = "raw-form"
"""Header that tells what the value is where it is not what the producer wrote."""
CUT: Final = b"cut"
REENCODED: Final = b"re-encoded"
LOST: Final = {
    "raw-bytes": rb"[0-9]{1,18}",
    "raw-sha256": rb"[0-9a-f]{64}",
    FORM: REENCODED,
    "key-bytes": rb"[0-9]{1,18}",
    "key-sha256": rb"[0-9a-f]{64}",
}
"""Headers of what is not whole, and how a message is to tell them that was sent home."""


async def publish_transactions(app: App, topic: str, transactions: Iterable[Transaction]) -> None:
    """Send transactions to be decided, each to its home partition; raises `KafkaError`."""
    sent = [
        await _send(app, topic, each.transaction_id.encode(), json.encode(each))
        for each in transactions
    ]
    await asyncio.gather(*sent)


async def reroute(
    producer: BatchProducer, topic: str, misplaced: Iterable[tuple[ValidInput, int]]
) -> None:
    """Send transactions on to their home partitions as they were, noting their origin.

    Tries until it goes well. What is too large to be sent again (a message that was compressed may
    be larger than the limit) is sent without spaces and unknown fields, its key cut if need be,
    with size and hash of the whole in headers.
    """
    by_home = defaultdict(list)
    for candidate, home in misplaced:
        by_home[home].append(_homeward(candidate))
    what = "sending transactions to their home partitions"
    await _append_all(producer, topic, by_home, what)


async def send_raw(
    producer: BatchProducer, topic: str, partition: int, inputs: Iterable[Input]
) -> None:
    """Send messages on to a partition as they are, noting their origin.

    What is too large to be sent again is cut, as a dead letter is; it will become one.
    """
    messages = []
    for each in inputs:
        record = each.key, each.raw, [(ORIGIN, each.origin.encode())]
        messages.append(Message(record, partial(_cut, record)))
    what = "sending messages to another partition"
    await _append_all(producer, topic, {partition: messages}, what)


async def publish_dead_letters(
    producer: BatchProducer, topic: str, rejections: Sequence[Rejection]
) -> None:
    """Send rejected inputs as they were: the value is the raw bytes, headers say why and whence.

    Tries until it goes well. What is too large to be sent again is cut to `CUT_TO` bytes, or less
    if the topic takes no more, with size and hash of the whole in headers.
    """
    if not rejections:
        return
    what = "publishing dead letters"
    partitions = await producer.partitions_when_told(topic, what)
    by_partition = defaultdict(list)
    for each in rejections:
        by_partition[each.input.position.partition % partitions].append(_letter(each))
    await _append_all(producer, topic, by_partition, what)


async def _append_all(
    producer: BatchProducer, topic: str, messages: dict[int, list[Message]], what: str
) -> None:
    refused = await asyncio.gather(
        *(append_fitting(producer, topic, *each, what) for each in messages.items())
    )
    if any(refused):
        raise MessageSizeTooLargeError(f"{what}: {topic} takes no message of any size that is left")


def _homeward(candidate: ValidInput) -> Message:
    source = candidate.input
    headers = [(ORIGIN, source.origin.encode()), *source.lost]
    record = source.key, source.raw, headers
    return Message(record, partial(_smaller, record, candidate.transaction))


def _smaller(record: NewRecord, transaction: Transaction) -> Iterator[NewRecord]:
    key, raw, headers = record
    encoded = json.encode(transaction)
    of_value = _told("raw", raw, REENCODED)
    of_key = _told("key", key)
    yield key, encoded, _with(headers, of_value)
    if key and len(key) > SHORT:
        yield key[:SHORT], raw, _with(headers, of_key)
        yield key[:SHORT], encoded, _with(headers, of_value + of_key)


def _letter(rejection: Rejection) -> Message:
    record = rejection.input.key, rejection.input.raw, _headers(rejection)
    if isinstance(rejection.input.raw, Unread):
        record = _shortened(record, len(record[0] or b""), CUT_TO)
    return Message(record, partial(_cut, record))


def _cut(letter: NewRecord) -> Iterator[NewRecord]:
    yield _shortened(letter, len(letter[0] or b""), CUT_TO)
    for kept in (CUT_TO, *LESS):
        yield _shortened(letter, kept, kept)


def _shortened(letter: NewRecord, of_key: int, of_value: int) -> NewRecord:
    key, value, headers = letter
    cut = isinstance(value, Unread) or len(value or b"") > of_value
    told = _told("raw", value, CUT) if cut else []
    told += _told("key", key) if len(key or b"") > of_key else []
    texts = [(name, text[: max(of_value, SHORT)]) for name, text in headers]
    return key and key[:of_key], value and value[:of_value], _with(texts, told)


def _told(of: str, whole: bytes | None, form: bytes | None = None) -> list[tuple[str, bytes]]:
    if isinstance(whole, Unread):  # of which nobody has the rest
        size = "unknown" if whole.size is None else str(whole.size)
        told = [(f"{of}-bytes", size.encode())]
    else:
        size, digest = str(len(whole or b"")), hashlib.sha256(whole or b"").hexdigest()
        told = [(f"{of}-bytes", size.encode()), (f"{of}-sha256", digest.encode())]
    return [*told, (FORM, form)] if form else told


def _with(
    headers: Sequence[tuple[str, bytes]], told: Sequence[tuple[str, bytes]]
) -> list[tuple[str, bytes]]:
    # Sizes and hashes that are told already are those of what the producer had written.
    kept = dict(told) | dict(headers) | {name: text for name, text in told if name == FORM}
    return [*kept.items()]


def _headers(rejection: Rejection) -> list[tuple[str, bytes]]:
    source = rejection.input.origin
    texts = {
        "reason": rejection.reason,
        "detail": rejection.detail[:LONGEST_DETAIL],
        "topic": source.topic,
        "partition": str(source.partition),
        "offset": str(source.offset),
    }
    return [*((name, text.encode()) for name, text in texts.items()), *rejection.input.lost]


async def _send(app: App, topic: str, key: bytes, value: bytes) -> asyncio.Future[RecordMetadata]:
    try:
        sent = await app.producer.send(topic, key, value, None, None, None)
    except ProducerSendError as exc:
        # Faust's wrapping tells nothing that its cause does not tell better.
        raise exc.__cause__ or exc from None
    return cast("asyncio.Future[RecordMetadata]", sent)
