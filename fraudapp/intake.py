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
        if wait > 0:
            found = await _seen(runtime, transaction_id, announced)
            if found is None and not announced.done():
                await asyncio.wait([announced], timeout=max(0.0, until - monotonic()))
            if found is not None or announced.done():
                return found or announced.result()
        # An announcement is missed while there is no connection to the broker.
        return _known(runtime, transaction_id) or await _look_up(runtime, transaction_id)


async def is_accepted(runtime: Runtime, transaction_id: str) -> bool:
    """Whether a transaction without decision was accepted; raises `StoreUnavailable`."""
    return runtime.waiting.accepted(transaction_id) or await runtime.stores.redis.is_accepted(
        transaction_id
    )


async def _seen(
    runtime: Runtime, transaction_id: str, announced: asyncio.Future[Decision | None]
) -> Decision | None:
    """Return the decision if it was made before, as far as can be told now."""
    known = _known(runtime, transaction_id)
    if known is not None or runtime.decides(transaction_id):
        return known
    looking = asyncio.ensure_future(_look_up(runtime, transaction_id))
    either: list[asyncio.Future[Any]] = [announced, looking]
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        return looking.result() if looking.done() and not looking.exception() else None
    finally:
        looking.cancel()


def _known(runtime: Runtime, transaction_id: str) -> Decision | None:
    return runtime.waiting.latest(transaction_id) or runtime.decided_here(transaction_id)


async def _look_up(runtime: Runtime, transaction_id: str) -> Decision | None:
    await runtime.lookups.acquire()
    # Whoever no longer needs the answer does not interrupt it: to cancel a query, asyncpg connects
    # to the server anew, which costs more than any answer.
    return await asyncio.shield(_ask_in_turn(runtime, transaction_id))


async def _ask_in_turn(runtime: Runtime, transaction_id: str) -> Decision | None:
    try:
        return await asyncio.wait_for(_ask_stores(runtime, transaction_id), LOOK_UP_TIMEOUT)
    except asyncio.TimeoutError as exc:
        raise StoreUnavailable("redis, postgres: no answer in time") from exc
    finally:
        runtime.lookups.release()


async def _ask_stores(runtime: Runtime, transaction_id: str) -> Decision | None:
    try:
        recent = await runtime.stores.redis.get(transaction_id)
        if recent is not None:
            return recent
    except StoreUnavailable as exc:
        log.debug("asking Postgres for a decision: %s", exc)
    return await runtime.stores.postgres.get(transaction_id)
