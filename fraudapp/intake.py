"""Taking transactions in, and answering what became of them: from any worker, at any time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from time import monotonic
from typing import Any

from faust import App

from fraudapp.publishing import publish_transactions
from fraudapp.runtime import Runtime
from fraudapp.stores.base import StoreUnavailable
from models.records import Decision, Transaction

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


async def find(runtime: Runtime, transaction_id: str, *, wait: float) -> Decision | None:
    """Return the decision, waiting up to `wait` seconds for it to be made; None if there is none.

    Woken by the decision, whichever worker makes it. Raises `StoreUnavailable` if there is none to
    be seen and a store that could have it does not answer.
    """
    until = monotonic() + wait
    with runtime.waiting.expecting(transaction_id) as announced:
        looked_up = asyncio.ensure_future(_look_up(runtime, transaction_id))
        either: list[asyncio.Future[Any]] = [announced, looked_up]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if announced.done():
            looked_up.cancel()
            return announced.result()
        failure = looked_up.exception()
        if failure is None and (decision := looked_up.result()) is not None:
            return decision
        left = until - monotonic()
        if left > 0:
            await asyncio.wait([announced], timeout=left)
            if announced.done():
                return announced.result()
            # An announcement can be missed while the connection to the broker is down.
            return await _look_up(runtime, transaction_id)
        if failure is not None:
            raise failure
        return None


async def is_accepted(runtime: Runtime, transaction_id: str) -> bool:
    """Whether a transaction without decision was accepted; raises `StoreUnavailable`."""
    return runtime.waiting.accepted(transaction_id) or await runtime.stores.redis.is_accepted(
        transaction_id
    )


async def _look_up(runtime: Runtime, transaction_id: str) -> Decision | None:
    latest = runtime.waiting.latest(transaction_id)
    if latest is not None:
        return latest
    try:
        recent = await runtime.stores.redis.get(transaction_id)
        if recent is not None:
            return recent
    except StoreUnavailable as exc:
        log.warning("asking Postgres for a decision: %s", exc)
    return await runtime.stores.postgres.get(transaction_id)
