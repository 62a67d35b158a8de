"""What the worker itself sends to Kafka; every function returns once the broker has it all."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable
from typing import Final

from faust import App
from faust.types import RecordMetadata
from msgspec import json

from fraudapp.stores.base import Batch
from models.admission import Rejection
from models.records import Transaction

LONGEST_DETAIL: Final = 4_000
"""Characters of a dead letter's detail; bad input decides how long the full text would be."""


async def publish_transactions(app: App, topic: str, transactions: Iterable[Transaction]) -> None:
    """Send transactions to be decided, each by its id's partition. Raises `KafkaError`."""
    await _delivered(
        [
            await app.producer.send(
                topic, each.transaction_id.encode(), json.encode(each), None, None, None
            )
            for each in transactions
        ]
    )


async def publish_decisions(app: App, topic: str, batch: Batch) -> None:
    """Send decisions, keyed by transaction id. Raises `KafkaError`."""
    await _delivered(
        [
            await app.producer.send(
                topic, decision.transaction_id.encode(), encoded, None, None, None
            )
            for decision, encoded in zip(batch.decisions, batch.encoded, strict=True)
        ]
    )


async def publish_dead_letters(app: App, topic: str, rejections: Iterable[Rejection]) -> None:
    """Send rejected inputs as they were: the value is the raw bytes, headers say why and whence.

    Raises `KafkaError`.
    """
    await _delivered(
        [
            await app.producer.send(
                topic, each.input.key, each.input.raw, None, None, dead_letter_headers(each)
            )
            for each in rejections
        ]
    )


def dead_letter_headers(rejection: Rejection) -> dict[str, bytes]:
    """Headers of a dead letter; all values are UTF-8 text."""
    source = rejection.input.position
    texts = {
        "reason": rejection.reason,
        "detail": rejection.detail[:LONGEST_DETAIL],
        "topic": source.topic,
        "partition": str(source.partition),
        "offset": str(source.offset),
    }
    return {name: text.encode() for name, text in texts.items()}


async def _delivered(sent: list[Awaitable[RecordMetadata]]) -> None:
    await asyncio.gather(*sent)
