"""Submitting transactions that came over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Final

from aiokafka.errors import KafkaTimeoutError

from fraudapp.messages.publish import publish_transactions
from fraudapp.worker import FraudWorker
from models.records import Transaction

SENDING: Final = 10.0
"""Seconds that the broker may take to have what is sent: a caller has to be told."""


async def submit(worker: FraudWorker, transactions: Sequence[Transaction]) -> None:
    """Send transactions to be decided; once it returns, each of them will be.

    Raises `aiokafka.errors.KafkaError`: some may have been sent then, and all can be sent again.
    """
    ids = [transaction.transaction_id for transaction in transactions]
    worker.waiters.accept(ids)
    # Before they are sent, so that their status is never unknown in between.
    await worker.parts().pending.note(ids)
    sending = publish_transactions(worker.app, worker.settings.transactions_topic, transactions)
    try:
        await asyncio.wait_for(sending, SENDING)
    except asyncio.TimeoutError as exc:  # they stay noted: they may be sent yet
        raise KafkaTimeoutError(f"no answer within {SENDING:g} s") from exc


async def is_accepted(worker: FraudWorker, transaction_id: str) -> bool:
    """Whether a transaction without decision was accepted; raises `SinkUnavailable`."""
    if worker.waiters.accepted(transaction_id):
        return True
    return await worker.parts().pending.knows(transaction_id)
