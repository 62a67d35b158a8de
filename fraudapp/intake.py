"""Taking transactions in."""

from __future__ import annotations

from collections.abc import Sequence

from faust import App

from fraudapp.publishing import publish_transactions
from fraudapp.runtime import Runtime
from models.records import Transaction


async def accept(app: App, runtime: Runtime, transactions: Sequence[Transaction]) -> None:
    """Send transactions to be decided; once it returns, each of them will be.

    Raises `aiokafka.errors.KafkaError`: some may have been sent then, and all can be sent again.
    """
    ids = [transaction.transaction_id for transaction in transactions]
    runtime.waiting.accept(ids)
    # Before they are sent, so that their status is never unknown in between.
    await runtime.pending.note(ids)
    await publish_transactions(app, runtime.settings.transactions_topic, transactions)


async def is_accepted(runtime: Runtime, transaction_id: str) -> bool:
    """Whether a transaction without decision was accepted; raises `StoreUnavailable`."""
    return runtime.waiting.accepted(transaction_id) or await runtime.pending.knows(transaction_id)
