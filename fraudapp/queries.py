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
from fraudapp.worker import FraudWorker
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


async def find(worker: FraudWorker, transaction_id: str, *, wait: float) -> Decision | None:
    """Return the decision, waiting up to `wait` seconds for it to be made.

    None says that none had been made, by any worker, when this was called. Raises `Unknowable` if
    that cannot be told, and `SinkUnavailable` or `KafkaError` if whoever could tell it does not
    answer.
    """
    found = await await_decision(worker, transaction_id, wait) if wait > 0 else None
    if wait > 0 and found is None and worker.waiters.closed.is_set():
        raise Unknowable("this worker is about to stop; ask another one")
    if found:
        return found
    try:
        return await asyncio.wait_for(_settle(worker, transaction_id), SETTLING)
    except asyncio.TimeoutError as exc:
        raise Unknowable("sinks and broker take too long to answer; ask again") from exc


async def await_decision(
    worker: FraudWorker, transaction_id: str, seconds: float
) -> Decision | None:
    """Return the decision as soon as it is made, and None if it was not heard of in time."""
    until = monotonic() + seconds
    with worker.waiters.subscribe(transaction_id) as announced:
        if known := worker.decided_here(transaction_id):
            return known
        if not worker.decides(transaction_id):
            looking = asyncio.ensure_future(_look(worker, transaction_id))
            either: list[asyncio.Future[Any]] = [announced, looking]
            try:
                await asyncio.wait(either, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                if looking.done() and (found := looking.result()):
                    return found
            finally:
                looking.cancel()
        await asyncio.wait([announced], timeout=max(0.0, until - monotonic()))
        return announced.result() if announced.done() else None


async def _look(worker: FraudWorker, transaction_id: str) -> Decision | None:
    """Return the decision if it was made before, and that can be told now."""
    with suppress(SinkUnavailable, KafkaError, Unknowable):
        if found := await _in_log(worker, transaction_id):
            return found
    with suppress(SinkUnavailable):
        return await _look_up(worker, transaction_id)
    return None


async def _settle(worker: FraudWorker, transaction_id: str) -> Decision | None:
    """See `find`.

    What is neither in memory, read to the end that the log had meanwhile, nor in the history, asked
    when it had all that memory lacks, was not there.
    """
    partition = worker.key_partition(transaction_id)
    heard = worker.parts().listener.heard(partition)
    if found := worker.decided_here(transaction_id):
        return found
    with suppress(KafkaError, Unknowable):
        if found := await _in_log(worker, transaction_id):
            return found
    for _ in range(LOOKS):
        lacking, _ = _memory(worker, partition)
        all_stored = heard.stored >= lacking
        failure: SinkUnavailable | None = None
        try:
            if (lacking or partition in worker.unread()) and (
                found := await _look_up(worker, transaction_id)
            ):
                return found
        except SinkUnavailable as exc:
            failure = exc
        await _catch_up(worker, transaction_id)
        if found := worker.decided_here(transaction_id):
            return found
        if found := await _in_log(worker, transaction_id):
            return found
        if failure:
            raise failure
        if all_stored and _memory(worker, partition)[0] <= lacking:
            return None
        if not all_stored:
            break
    raise Unknowable("what was decided some time ago is not in the history yet; ask again")


def _memory(worker: FraudWorker, partition: int) -> tuple[int, int]:
    """From which offset on, and up to which, the decisions of a partition are in memory."""
    heard = worker.parts().listener.heard(partition)
    index = worker.parts().decisions.index(partition)
    next_offset = index.next_offset if index else 0
    return (0 if heard.start <= next_offset else heard.start), max(heard.end, next_offset)


async def _catch_up(worker: FraudWorker, transaction_id: str) -> None:
    """Return once all is in memory, or was, that the log has now of the partition of this id."""
    partition = worker.key_partition(transaction_id)
    _, before = _memory(worker, partition)
    end = await _in_time(worker.parts().log_queries.end(partition))
    if end.high_water < before:
        raise Unknowable("the log of decisions has become shorter than it was")
    if await _reached(worker, partition, end.stable, HEARING) and end.stable < end.high_water:
        raise Unknowable("a transaction of another program holds the log of decisions up")
    if worker.decides(transaction_id) and _memory(worker, partition)[1] < end.high_water:
        # Others have written there, which an index would learn with the next decision.
        worker.parts().decisions.doubted(partition)
    if not await _reached(worker, partition, end.high_water, LOOK_UP_TIMEOUT):
        raise Unknowable("the latest decisions are not known here yet; ask again")


async def _reached(worker: FraudWorker, partition: int, end: int, timeout: float) -> bool:
    """Whether all of a partition up to this offset is in memory within so many seconds."""
    until = monotonic() + timeout
    while _memory(worker, partition)[1] < end:
        try:
            await asyncio.wait_for(worker.parts().listener.news(), until - monotonic())
        except asyncio.TimeoutError:
            return False
    return True


async def _in_time(question: Awaitable[T]) -> T:
    try:
        return await asyncio.wait_for(question, LOOK_UP_TIMEOUT)
    except asyncio.TimeoutError as exc:
        raise Unknowable("the broker does not answer in time; ask again") from exc


async def _in_log(worker: FraudWorker, transaction_id: str) -> Decision | None:
    """Return the decision from the log, if it was heard of; raises `KafkaError`, `Unknowable`.

    The first record under an id counts: where an earlier one can have been forgotten here, the
    history is asked for it. If that does not answer soon, what was heard is as much as is known.
    """
    partition = worker.key_partition(transaction_id)
    begin, _ = _memory(worker, partition)
    for offset in worker.parts().listener.heard(partition).find(transaction_id.encode()):
        found = await _in_time(worker.parts().log_queries.decision(partition, offset))
        if found is not None and found.transaction_id == transaction_id:
            return (await _before(worker, transaction_id) if begin else None) or found
    return None


async def _before(worker: FraudWorker, transaction_id: str) -> Decision | None:
    with suppress(SinkUnavailable, asyncio.TimeoutError):
        return await asyncio.wait_for(_look_up(worker, transaction_id), HEARING)
    return None


async def _look_up(worker: FraudWorker, transaction_id: str) -> Decision | None:
    await worker.lookups.acquire()
    # Whoever no longer needs the answer does not interrupt it: to cancel a query, asyncpg connects
    # to the server anew, which costs more than any answer.
    asking = asyncio.ensure_future(_ask_in_turn(worker, transaction_id))
    asking.add_done_callback(seen)
    return await asyncio.shield(asking)


async def _ask_in_turn(worker: FraudWorker, transaction_id: str) -> Decision | None:
    try:
        return await asyncio.wait_for(_ask_stores(worker, transaction_id), LOOK_UP_TIMEOUT)
    except asyncio.TimeoutError as exc:
        raise SinkUnavailable("redis, postgres: no answer in time") from exc
    finally:
        worker.lookups.release()


async def _ask_stores(worker: FraudWorker, transaction_id: str) -> Decision | None:
    try:
        recent = await worker.parts().sinks.redis.get(transaction_id)
        if recent is not None:
            return recent
    except SinkUnavailable as exc:
        log.debug("asking Postgres for a decision: %s", exc)
    return await worker.parts().sinks.postgres.get(transaction_id)
