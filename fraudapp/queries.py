"""What became of a transaction: whichever worker decides it, from any worker, at any time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import suppress
from time import monotonic
from typing import Any, Final, TypeVar

from aiokafka.errors import KafkaError

from fraudapp.decisions.log_queries import seen
from fraudapp.decisions.recent import Unknowable
from fraudapp.sinks.base import SinkUnavailable
from fraudapp.worker import Runtime
from models.records import Decision

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK_UP_TIMEOUT: Final = 3.0
"""Seconds the sinks, or the broker, may take to answer a question over HTTP."""
SETTLING: Final = 4.0
"""Seconds for all of them together, with the wait for a turn to ask: a caller has to be told."""
HEARING: Final = 0.5
"""Seconds in which it is known, if nothing is the matter, what was decided last, or before."""
LOOKS: Final = 5
"""How often it is looked for anew because more was known at the end than at the beginning."""


async def find(runtime: Runtime, transaction_id: str, *, wait: float) -> Decision | None:
    """Return the decision, waiting up to `wait` seconds for it to be made.

    None says that none had been made, by any worker, when this was called. Raises `Unknowable` if
    that cannot be told, and `SinkUnavailable` or `KafkaError` if whoever could tell it does not
    answer.
    """
    found = await await_decision(runtime, transaction_id, wait) if wait > 0 else None
    if wait > 0 and found is None and runtime.waiting.closed.is_set():
        raise Unknowable("this worker is about to stop; ask another one")
    if found:
        return found
    try:
        return await asyncio.wait_for(_settle(runtime, transaction_id), SETTLING)
    except asyncio.TimeoutError as exc:
        raise Unknowable("sinks and broker take too long to answer; ask again") from exc


async def await_decision(runtime: Runtime, transaction_id: str, seconds: float) -> Decision | None:
    """Return the decision as soon as it is made, and None if it was not heard of in time."""
    until = monotonic() + seconds
    with runtime.waiting.expecting(transaction_id) as announced:
        if known := runtime.decided_here(transaction_id):
            return known
        if not runtime.decides(transaction_id):
            looking = asyncio.ensure_future(_look(runtime, transaction_id))
            either: list[asyncio.Future[Any]] = [announced, looking]
            try:
                await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                if looking.done() and (found := looking.result()):
                    return found
            finally:
                looking.cancel()
        await asyncio.wait([announced], timeout=max(0.0, until - monotonic()))
        return announced.result() if announced.done() else None


async def _look(runtime: Runtime, transaction_id: str) -> Decision | None:
    """Return the decision if it was made before, and that can be told now."""
    with suppress(SinkUnavailable, KafkaError, Unknowable):
        if found := await _in_log(runtime, transaction_id):
            return found
    with suppress(SinkUnavailable):
        return await _look_up(runtime, transaction_id)
    return None


async def _settle(runtime: Runtime, transaction_id: str) -> Decision | None:
    """See `find`.

    What is neither in memory, read to the end that the log had meanwhile, nor in the history, asked
    when it had all that memory lacks, was not there.
    """
    number = runtime.home(transaction_id)
    heard = runtime.announcements.heard(number)
    if found := runtime.decided_here(transaction_id):
        return found
    with suppress(KafkaError, Unknowable):
        if found := await _in_log(runtime, transaction_id):
            return found
    for _ in range(LOOKS):
        lacking, _ = _memory(runtime, number)
        all_stored = heard.stored >= lacking
        failure: SinkUnavailable | None = None
        try:
            if (lacking or number in runtime.unread()) and (
                found := await _look_up(runtime, transaction_id)
            ):
                return found
        except SinkUnavailable as exc:
            failure = exc
        await _catch_up(runtime, transaction_id)
        if found := runtime.decided_here(transaction_id):
            return found
        if found := await _in_log(runtime, transaction_id):
            return found
        if failure:
            raise failure
        if all_stored and _memory(runtime, number)[0] <= lacking:
            return None
        if not all_stored:
            break
    raise Unknowable("what was decided some time ago is not in the history yet; ask again")


def _memory(runtime: Runtime, number: int) -> tuple[int, int]:
    """From which offset on, and up to which, the decisions of a partition are in memory."""
    heard = runtime.announcements.heard(number)
    index = runtime.decisions.index(number)
    cursor = index.cursor if index else 0
    return (0 if heard.start <= cursor else heard.start), max(heard.end, cursor)


async def _catch_up(runtime: Runtime, transaction_id: str) -> None:
    """Return once all is in memory, or was, that the log has now of the partition of this id."""
    number = runtime.home(transaction_id)
    _, before = _memory(runtime, number)
    end = await _in_time(runtime.questions.end(number))
    if end.high_water < before:
        raise Unknowable("the log of decisions has become shorter than it was")
    if await _reached(runtime, number, end.stable, HEARING) and end.stable < end.high_water:
        raise Unknowable("a transaction of another program holds the log of decisions up")
    if runtime.decides(transaction_id) and _memory(runtime, number)[1] < end.high_water:
        # Others have written there, which an index would learn with the next decision.
        runtime.decisions.doubted(number)
    if not await _reached(runtime, number, end.high_water, LOOK_UP_TIMEOUT):
        raise Unknowable("the latest decisions are not known here yet; ask again")


async def _reached(runtime: Runtime, number: int, end: int, timeout: float) -> bool:
    """Whether all of a partition up to this offset is in memory within so many seconds."""
    until = monotonic() + timeout
    while _memory(runtime, number)[1] < end:
        try:
            await asyncio.wait_for(runtime.announcements.news(), until - monotonic())
        except asyncio.TimeoutError:
            return False
    return True


async def _in_time(question: Awaitable[T]) -> T:
    try:
        return await asyncio.wait_for(question, LOOK_UP_TIMEOUT)
    except asyncio.TimeoutError as exc:
        raise Unknowable("the broker does not answer in time; ask again") from exc


async def _in_log(runtime: Runtime, transaction_id: str) -> Decision | None:
    """Return the decision from the log, if it was heard of; raises `KafkaError`, `Unknowable`.

    The first record under an id counts: where an earlier one can have been forgotten here, the
    history is asked for it. If that does not answer soon, what was heard is as much as is known.
    """
    number = runtime.home(transaction_id)
    begin, _ = _memory(runtime, number)
    for offset in runtime.announcements.heard(number).find(transaction_id.encode()):
        found = await _in_time(runtime.questions.decision(number, offset))
        if found is not None and found.transaction_id == transaction_id:
            return (await _before(runtime, transaction_id) if begin else None) or found
    return None


async def _before(runtime: Runtime, transaction_id: str) -> Decision | None:
    with suppress(SinkUnavailable, asyncio.TimeoutError):
        return await asyncio.wait_for(_look_up(runtime, transaction_id), HEARING)
    return None


async def _look_up(runtime: Runtime, transaction_id: str) -> Decision | None:
    await runtime.lookups.acquire()
    # Whoever no longer needs the answer does not interrupt it: to cancel a query, asyncpg connects
    # to the server anew, which costs more than any answer.
    asking = asyncio.ensure_future(_ask_in_turn(runtime, transaction_id))
    asking.add_done_callback(seen)
    return await asyncio.shield(asking)


async def _ask_in_turn(runtime: Runtime, transaction_id: str) -> Decision | None:
    try:
        return await asyncio.wait_for(_ask_stores(runtime, transaction_id), LOOK_UP_TIMEOUT)
    except asyncio.TimeoutError as exc:
        raise SinkUnavailable("redis, postgres: no answer in time") from exc
    finally:
        runtime.lookups.release()


async def _ask_stores(runtime: Runtime, transaction_id: str) -> Decision | None:
    try:
        recent = await runtime.sinks.redis.get(transaction_id)
        if recent is not None:
            return recent
    except SinkUnavailable as exc:
        log.debug("asking Postgres for a decision: %s", exc)
    return await runtime.sinks.postgres.get(transaction_id)
