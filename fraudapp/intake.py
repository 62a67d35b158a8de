"""Taking transactions in."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from faust import App

from fraudapp.publishing import publish_transactions
from fraudapp.runtime import Runtime
from fraudapp.stores.base import StoreUnavailable
from models.records import Transaction

log = logging.getLogger(__name__)


async def accept(app: App, runtime: Runtime, transactions: Sequence[Transaction]) -> None:
    """Send transactions to be decided; once it returns, each of them will be.

    Raises `aiokafka.errors.KafkaError`: some may have been sent then, and all can be sent again.
    """
    ids = [transaction.transaction_id for transaction in transactions]
    runtime.waiting.accept(ids)
    try:
        # Before they are sent, so that their status is never unknown in between.
        await runtime.stores.redis.accept(ids)
    except StoreUnavailable as exc:
        log.warning("only this worker knows that %d transactions are pending: %s", len(ids), exc)
    await publish_transactions(app, runtime.settings.transactions_topic, transactions)


async def is_accepted(runtime: Runtime, transaction_id: str) -> bool:
    """Whether a transaction without decision was accepted; raises `StoreUnavailable`."""
    return runtime.waiting.accepted(transaction_id) or await runtime.stores.redis.is_accepted(
        transaction_id
    )
