"""Taking transactions in, and answering what became of them: from any worker, at any time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from time import monotonic
from typing import Any, Final

from faust import App

from fraudapp.publishing import publish_transactions
from fraudapp.runtime import Runtime
from fraudapp.stores.base import StoreUnavailable
from models.records import Decision, Transaction

log = logging.getLogger(__name__)

LOOK_UP_TIMEOUT: Final = 3.0
"""Seconds the stores may take to answer a question over HTTP."""


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
        looking = asyncio.ensure_future(_look_up(runtime, transaction_id))
        either: list[asyncio.Future[Any]] = [announced, looking]
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            found = None if announced.done() or looking.exception() else looking.result()
            if found is None and not announced.done():
                await asyncio.wait([announced], timeout=max(0.0, until - monotonic()))
            if announced.done():
                return announced.result()
            if found is None and wait > 0:
                # An announcement is missed while there is no connection to the broker.
                return await _look_up(runtime, transaction_id)
            return looking.result()
        finally:
            looking.cancel()


async def is_accepted(runtime: Runtime, transaction_id: str) -> bool:
    """Whether a transaction without decision was accepted; raises `StoreUnavailable`."""
    return runtime.waiting.accepted(transaction_id) or await runtime.stores.redis.is_accepted(
        transaction_id
    )


async def _look_up(runtime: Runtime, transaction_id: str) -> Decision | None:
    known = runtime.waiting.latest(transaction_id) or runtime.decided_here(transaction_id)
    if known is not None:
        return known
    try:
        async with runtime.lookups:
            return await asyncio.wait_for(_ask_stores(runtime, transaction_id), LOOK_UP_TIMEOUT)
    except asyncio.TimeoutError as exc:
        raise StoreUnavailable("redis, postgres: no answer in time") from exc


async def _ask_stores(runtime: Runtime, transaction_id: str) -> Decision | None:
    try:
        recent = await runtime.stores.redis.get(transaction_id)
        if recent is not None:
            return recent
    except StoreUnavailable as exc:
        log.debug("asking Postgres for a decision: %s", exc)
    return await runtime.stores.postgres.get(transaction_id)
