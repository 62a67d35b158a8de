"""Submits transactions and labels that came over HTTP, and knows which ones were accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import Final

from aiokafka.errors import KafkaTimeoutError

from fraudapp.messages.publish import publish_labels, publish_transactions
from fraudapp.worker import FraudWorker
from models.labels.records import Label
from models.records import Transaction

SUBMIT_TIMEOUT: Final = 10.0
"""Seconds that the broker may take to acknowledge what is sent: the caller waits for the answer."""


async def submit(worker: FraudWorker, transactions: Sequence[Transaction]) -> None:
    """Publish transactions to be decided; once it returns, each of them will be decided.

    Waits for the broker, at most `SUBMIT_TIMEOUT`. Raises `aiokafka.errors.KafkaError`: some may
    have been sent then, and the caller can send all of them again.
    """
    ids = [transaction.transaction_id for transaction in transactions]
    worker.waiters.accept(ids)
    # Noted first: else another worker that is asked in between does not know them.
    await worker.parts().pending.note(ids)
    settings = worker.settings
    sending = publish_transactions(
        worker.app, settings.transactions_topic, transactions, settings.transaction_schema
    )
    await _within_time(sending)  # if it fails the ids stay noted: the records may still arrive


async def submit_label(worker: FraudWorker, label: Label) -> None:
    """Publish a label; once it returns, the label counts as soon as its transaction is decided.

    Waits for the broker, at most `SUBMIT_TIMEOUT`. Raises `aiokafka.errors.KafkaError`: it may have
    been sent then, and the caller can send it again.
    """
    worker.parts()  # which raises before the worker has started
    await _within_time(publish_labels(worker.app, worker.settings.labels_topic, [label]))


async def is_accepted(worker: FraudWorker, transaction_id: str) -> bool:
    """Whether a transaction that has no decision yet was accepted; raises `SinkUnavailable`."""
    if worker.waiters.accepted(transaction_id):
        return True
    return await worker.parts().pending.knows(transaction_id)


async def _within_time(sending: Awaitable[None]) -> None:
    try:
        await asyncio.wait_for(sending, SUBMIT_TIMEOUT)
    except asyncio.TimeoutError as exc:
        raise KafkaTimeoutError(f"no answer within {SUBMIT_TIMEOUT:g} s") from exc
