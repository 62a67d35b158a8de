"""What the worker itself sends to Kafka; every function returns once the broker has it all."""

from __future__ import annotations

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Final, cast

from aiokafka.errors import MessageSizeTooLargeError
from faust import App
from faust.exceptions import ProducerSendError
from faust.types import RecordMetadata
from msgspec import json

from fraudapp.appender import Appender, NewRecord
from models.admission import Candidate, Input, Rejection
from models.records import Transaction

LONGEST_DETAIL: Final = 4_000
"""Characters of a dead letter's detail; bad input decides how long the full text would be."""
CUT_TO: Final = 100_000
"""Bytes that are left of a message which is too large to be sent again as it was."""
ORIGIN: Final = "origin"
"""Header of a message that was sent on to its home partition: where it was first read."""


async def publish_transactions(app: App, topic: str, transactions: Iterable[Transaction]) -> None:
    """Send transactions to be decided, each to its home partition; raises `KafkaError`."""
    sent = [
        await _send(app, topic, each.transaction_id.encode(), json.encode(each))
        for each in transactions
    ]
    await asyncio.gather(*sent)


async def send_home(
    appender: Appender, topic: str, misplaced: Iterable[tuple[Candidate, int]]
) -> None:
    """Send transactions on to their home partitions, noting their origin; see `Appender`."""
    by_home = defaultdict(list)
    for candidate, home in misplaced:
        transaction, source = candidate.transaction, candidate.input
        raw = source.raw or b""
        # Blown up by spaces or unknown fields, it may be too large to be sent as it is.
        value = raw if len(raw) <= CUT_TO else json.encode(transaction)
        headers = [(ORIGIN, str(source.origin).encode())]
        by_home[home].append((transaction.transaction_id.encode(), value, headers))
    what = "sending transactions to their home partitions"
    await asyncio.gather(
        *(appender.append(topic, home, records, what) for home, records in by_home.items())
    )


async def send_raw(appender: Appender, topic: str, partition: int, inputs: Iterable[Input]) -> None:
    """Send messages on to a partition as they are, noting their origin; see `Appender`."""
    records = [(each.key, each.raw, [(ORIGIN, str(each.origin).encode())]) for each in inputs]
    await appender.append(topic, partition, records, "sending messages to another partition")


async def publish_dead_letters(
    appender: Appender, topic: str, rejections: Sequence[Rejection]
) -> None:
    """Send rejected inputs as they were: the value is the raw bytes, headers say why and whence.

    Tries until it goes well. What is too large to be sent again (a message that was compressed may
    be larger than the limit) is cut to `CUT_TO` bytes, with size and hash of the whole in headers.
    """
    if not rejections:
        return
    partitions = await appender.partitions(topic)
    by_partition = defaultdict(list)
    for each in rejections:
        by_partition[each.input.position.partition % partitions].append(each)
    await asyncio.gather(*(_bury(appender, topic, *each) for each in by_partition.items()))


async def _bury(
    appender: Appender, topic: str, partition: int, rejections: Sequence[Rejection]
) -> None:
    what = "publishing dead letters"
    letters = [(each.input.key, each.input.raw, _headers(each)) for each in rejections]
    try:
        await appender.append(topic, partition, letters, what)
    except MessageSizeTooLargeError:
        if len(letters) == 1:
            await appender.append(topic, partition, map(_cut, letters), what)
            return
        half = len(letters) // 2
        await _bury(appender, topic, partition, rejections[:half])
        await _bury(appender, topic, partition, rejections[half:])


def _cut(letter: NewRecord) -> NewRecord:
    _, value, headers = letter
    whole = value or b""
    size, digest = str(len(whole)), hashlib.sha256(whole).hexdigest()
    cut = [("raw-bytes", size.encode()), ("raw-sha256", digest.encode())]
    return None, whole[:CUT_TO], [*headers, *cut]


def _headers(rejection: Rejection) -> list[tuple[str, bytes]]:
    source = rejection.input.origin
    texts = {
        "reason": rejection.reason,
        "detail": rejection.detail[:LONGEST_DETAIL],
        "topic": source.topic,
        "partition": str(source.partition),
        "offset": str(source.offset),
    }
    return [(name, text.encode()) for name, text in texts.items()]


async def _send(app: App, topic: str, key: bytes, value: bytes) -> asyncio.Future[RecordMetadata]:
    try:
        sent = await app.producer.send(topic, key, value, None, None, None)
    except ProducerSendError as exc:
        # Faust's wrapping tells nothing that its cause does not tell better.
        raise exc.__cause__ or exc from None
    return cast("asyncio.Future[RecordMetadata]", sent)
