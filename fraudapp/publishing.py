"""What the worker itself sends to Kafka; every function returns once the broker has it all."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Iterable
from typing import Final, cast

from aiokafka.errors import MessageSizeTooLargeError
from faust import App
from faust.exceptions import ProducerSendError
from faust.types import RecordMetadata
from msgspec import json

from fraudapp.patience import patiently
from fraudapp.stores.base import Batch
from models.admission import Candidate, Rejection
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


async def publish_decisions(app: App, topic: str, partition: int, batch: Batch) -> list[int]:
    """Append decisions to a partition of the decision log, and return their offsets.

    Tries again until it goes well; some may then be in the log twice.
    """
    async for attempt in patiently("publishing decisions"):
        with attempt:
            sent = [
                await _send(app, topic, decision.transaction_id.encode(), encoded, partition)
                for decision, encoded in zip(batch.decisions, batch.encoded, strict=True)
            ]
            return [metadata.offset for metadata in await asyncio.gather(*sent)]
    raise AssertionError("attempts without limit ended")


async def send_home(app: App, topic: str, misplaced: Iterable[tuple[Candidate, int]]) -> None:
    """Send transactions on to their home partitions, noting their origin; see `patiently`."""

    async def send(candidate: Candidate, home: int) -> None:
        key, source = candidate.transaction.transaction_id.encode(), candidate.input
        headers = {ORIGIN: str(source.origin).encode()}
        async for attempt in patiently("sending transactions to their home partitions"):
            with attempt:
                await (await _send(app, topic, key, source.raw, home, headers))

    await asyncio.gather(*(send(*each) for each in misplaced))


async def publish_dead_letters(app: App, topic: str, rejections: Iterable[Rejection]) -> None:
    """Send rejected inputs as they were: the value is the raw bytes, headers say why and whence.

    Tries until it goes well. What is too large to be sent again (a message that was compressed may
    be larger than the limit) is cut to `CUT_TO` bytes, with size and hash of the whole in headers.
    """

    async def send(rejection: Rejection) -> None:
        headers = dead_letter_headers(rejection)
        async for attempt in patiently("publishing dead letters"):
            with attempt:
                key, raw = rejection.input.key, rejection.input.raw
                try:
                    await (await _send(app, topic, key, raw, None, headers))
                except MessageSizeTooLargeError:
                    whole = raw or b""
                    headers["raw-bytes"] = str(len(whole)).encode()
                    headers["raw-sha256"] = hashlib.sha256(whole).hexdigest().encode()
                    await (await _send(app, topic, None, whole[:CUT_TO], None, headers))

    await asyncio.gather(*(send(rejection) for rejection in rejections))


def dead_letter_headers(rejection: Rejection) -> dict[str, bytes]:
    """Headers of a dead letter; all values are UTF-8 text."""
    source = rejection.input.origin
    texts = {
        "reason": rejection.reason,
        "detail": rejection.detail[:LONGEST_DETAIL],
        "topic": source.topic,
        "partition": str(source.partition),
        "offset": str(source.offset),
    }
    return {name: text.encode() for name, text in texts.items()}


async def _send(
    app: App,
    topic: str,
    key: bytes | None,
    value: bytes | None,
    partition: int | None = None,
    headers: dict[str, bytes] | None = None,
) -> asyncio.Future[RecordMetadata]:
    try:
        sent = await app.producer.send(topic, key, value, partition, None, headers)
    except ProducerSendError as exc:
        # Faust's wrapping tells nothing that its cause does not tell better.
        raise exc.__cause__ or exc from None
    return cast("asyncio.Future[RecordMetadata]", sent)
