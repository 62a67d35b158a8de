"""Publishes submitted transactions and labels, rerouted inputs and dead letters.

Every function returns once the broker has all records.
"""

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

from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.messages.fitting import Message, append_fitting
from models.inputs import Input, Rejection, ValidInput
from models.labels.records import Label, encode
from models.parsing import CUT_VALUE_BYTES, Unread
from models.records import Transaction
from models.schema.schema import PAYSIM, Schema

MAX_DETAIL_CHARACTERS: Final = 4_000
"""Characters of a dead letter's detail; the full text may be as long as a bad input makes it."""
CUT_FIELD_BYTES: Final = 1_000
"""Bytes that are left of a key, or of a header, if the topic takes no larger record."""
SMALLER_CUTS: Final = (10_000, CUT_FIELD_BYTES, 0)
"""Bytes to cut a dead letter to, one after the other, where `CUT_VALUE_BYTES` are too many."""
ORIGIN: Final = "origin"
"""Header of a rerouted record: the position at which its producer had put it."""
FORM: Final = "raw-form"
"""Header that says how the value was made if it is not the one that the producer wrote."""
CUT: Final = b"cut"
"""`FORM` of a value that is the beginning of the original."""
REENCODED: Final = b"re-encoded"
"""`FORM` of a transaction that was encoded again, without spaces and unknown fields."""
LOST: Final = {
    "raw-bytes": rb"[0-9]{1,18}",
    "raw-sha256": rb"[0-9a-f]{64}",
    FORM: REENCODED,
    "key-bytes": rb"[0-9]{1,18}",
    "key-sha256": rb"[0-9a-f]{64}",
}
"""Headers with the size and hash of the original key and value of a record that is not whole.

Each with the pattern that it must match to be believed of a rerouted record."""


async def publish_transactions(
    app: App, topic: str, transactions: Iterable[Transaction], schema: Schema = PAYSIM
) -> None:
    """Send transactions to be decided, each to its key partition; raises `KafkaError`."""
    sent = [
        await _send(app, topic, each.transaction_id.encode(), schema.encode(each))
        for each in transactions
    ]
    await asyncio.gather(*sent)


async def publish_labels(app: App, topic: str, labels: Iterable[Label]) -> None:
    """Send labels to be joined with decisions, as `publish_transactions` does."""
    sent = [await _send(app, topic, each.transaction_id.encode(), encode(each)) for each in labels]
    await asyncio.gather(*sent)


async def reroute(
    producer: BatchProducer,
    topic: str,
    misrouted: Iterable[tuple[ValidInput, int]],
    schema: Schema = PAYSIM,
) -> None:
    """Send misrouted inputs, unchanged, to the key partitions given, with their origin in a header.

    Retries until it succeeds. A record may be too large to be sent again, such as one that its
    producer had compressed. It is then encoded again, without spaces and unknown fields, and its
    key is cut if need be; headers hold size and hash of the original.
    """
    by_partition = defaultdict(list)
    for valid, key_partition in misrouted:
        by_partition[key_partition].append(_rerouted(valid, schema))
    what = "rerouting inputs to their key partitions"
    await _append_all(producer, topic, by_partition, what)


async def send_raw(
    producer: BatchProducer, topic: str, partition: int, inputs: Iterable[Input]
) -> None:
    """Send inputs, unchanged and unparsed, to another partition, with their origin in a header.

    Retries until it succeeds. A record that is too large to be sent again is cut as a dead letter
    is, and will become one.
    """
    messages = []
    for each in inputs:
        record = each.key, each.raw, [(ORIGIN, each.origin.encode())]
        messages.append(Message(record, partial(_cut_forms, record)))
    what = "sending messages to another partition"
    await _append_all(producer, topic, {partition: messages}, what)


async def publish_dead_letters(
    producer: BatchProducer, topic: str, rejections: Sequence[Rejection]
) -> None:
    """Send rejected inputs to the dead-letter topic: raw bytes, with reason and origin in headers.

    Retries until it succeeds. A value that is too large to be sent again is cut to
    `CUT_VALUE_BYTES`, or to less if the topic takes no more; headers hold size and hash of the
    original.
    """
    if not rejections:
        return
    what = "publishing dead letters"
    partitions = await producer.partitions_with_retry(topic, what)
    by_partition = defaultdict(list)
    for each in rejections:
        by_partition[each.input.position.partition % partitions].append(_dead_letter(each))
    await _append_all(producer, topic, by_partition, what)


async def _append_all(
    producer: BatchProducer, topic: str, messages: dict[int, list[Message]], what: str
) -> None:
    refused = await asyncio.gather(
        *(append_fitting(producer, topic, *each, what) for each in messages.items())
    )
    if any(refused):
        raise MessageSizeTooLargeError(
            f"{what}: {topic} accepts no form of a message, however small"
        )


def _rerouted(valid: ValidInput, schema: Schema) -> Message:
    source = valid.input
    headers = [(ORIGIN, source.origin.encode()), *source.lost]
    record = source.key, source.raw, headers
    return Message(record, partial(_reencoded_forms, record, valid.transaction, schema))


def _reencoded_forms(
    record: NewRecord, transaction: Transaction, schema: Schema
) -> Iterator[NewRecord]:
    key, raw, headers = record
    encoded = schema.encode(transaction)
    value_lost = _lost("raw", raw, REENCODED)
    key_lost = _lost("key", key)
    yield key, encoded, _joined(headers, value_lost)
    if key and len(key) > CUT_FIELD_BYTES:
        yield key[:CUT_FIELD_BYTES], raw, _joined(headers, key_lost)
        yield key[:CUT_FIELD_BYTES], encoded, _joined(headers, value_lost + key_lost)


def _dead_letter(rejection: Rejection) -> Message:
    record = rejection.input.key, rejection.input.raw, _rejection_headers(rejection)
    if isinstance(rejection.input.raw, Unread):
        record = _cut(record, len(record[0] or b""), CUT_VALUE_BYTES)
    return Message(record, partial(_cut_forms, record))


def _cut_forms(record: NewRecord) -> Iterator[NewRecord]:
    yield _cut(record, len(record[0] or b""), CUT_VALUE_BYTES)
    for size in (CUT_VALUE_BYTES, *SMALLER_CUTS):
        yield _cut(record, size, size)


def _cut(record: NewRecord, key_to: int, value_to: int) -> NewRecord:
    key, value, headers = record
    is_cut = isinstance(value, Unread) or len(value or b"") > value_to
    lost = _lost("raw", value, CUT) if is_cut else []
    lost += _lost("key", key) if len(key or b"") > key_to else []
    shortened = [(name, text[: max(value_to, CUT_FIELD_BYTES)]) for name, text in headers]
    return key and key[:key_to], value and value[:value_to], _joined(shortened, lost)


def _lost(field: str, whole: bytes | None, form: bytes | None = None) -> list[tuple[str, bytes]]:
    """Return the headers that describe a whole key or value; see `LOST`."""
    if isinstance(whole, Unread):  # no hash: only the beginning was read
        size = "unknown" if whole.size is None else str(whole.size)
        lost = [(f"{field}-bytes", size.encode())]
    else:
        size, digest = str(len(whole or b"")), hashlib.sha256(whole or b"").hexdigest()
        lost = [(f"{field}-bytes", size.encode()), (f"{field}-sha256", digest.encode())]
    return [*lost, (FORM, form)] if form else lost


def _joined(
    headers: Sequence[tuple[str, bytes]], lost: Sequence[tuple[str, bytes]]
) -> list[tuple[str, bytes]]:
    # A size or hash that is among the headers already describes what the producer wrote: it stays.
    form = {name: text for name, text in lost if name == FORM}
    return [*(dict(lost) | dict(headers) | form).items()]


def _rejection_headers(rejection: Rejection) -> list[tuple[str, bytes]]:
    source = rejection.input.origin
    texts = {
        "reason": rejection.reason,
        "detail": rejection.detail[:MAX_DETAIL_CHARACTERS],
        "topic": source.topic,
        "partition": str(source.partition),
        "offset": str(source.offset),
    }
    return [*((name, text.encode()) for name, text in texts.items()), *rejection.input.lost]


async def _send(app: App, topic: str, key: bytes, value: bytes) -> asyncio.Future[RecordMetadata]:
    try:
        sent = await app.producer.send(topic, key, value, None, None, None)
    except ProducerSendError as exc:
        # The cause says more than Faust's exception around it.
        raise exc.__cause__ or exc from None
    return cast("asyncio.Future[RecordMetadata]", sent)
