"""Finds the decision on a transaction, for callers over HTTP who ask any worker.

The worker that is asked has the indexes of its own partitions, and the recent records of all
others. Sinks have the earlier decisions, but lag behind the log. Both are asked before the answer
is that there is no decision.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import suppress
from time import monotonic
from typing import Any, Final, TypeVar

from aiokafka.errors import KafkaError

from fraudapp.decisions.log_queries import retrieve_exception
from fraudapp.decisions.recent import Unknowable
from fraudapp.sinks.base import SinkUnavailable
from fraudapp.worker import FraudWorker
from models.labels.records import Labelled
from models.records import Decision

log = logging.getLogger(__name__)

T = TypeVar("T")

LOOK_UP_TIMEOUT: Final = 3.0
"""Seconds that the sinks, or the broker, may take to answer one question."""
FIND_TIMEOUT: Final = 4.0
"""Seconds for all questions together, with the wait for a slot: a caller waits for the answer."""
SHORT_TIMEOUT: Final = 0.5
"""Seconds in which the latest records arrive here, and a sink answers, if nothing is wrong."""
MAX_ATTEMPTS: Final = 5
"""How often the search is repeated because ids were forgotten while it went on."""


async def find(worker: FraudWorker, transaction_id: str, *, wait: float) -> Decision | None:
    """Return the decision, waiting up to `wait` seconds for it to be made.

    None means that no worker had made one when this was called. Raises `Unknowable` if that cannot
    be told now, and `SinkUnavailable` or `KafkaError` if the sinks or the broker do not answer.
    """
    found = await await_decision(worker, transaction_id, wait) if wait > 0 else None
    if wait > 0 and found is None and worker.waiters.closed.is_set():
        raise Unknowable("this worker is about to stop; ask another one")
    if found:
        return found
    try:
        return await asyncio.wait_for(_find_made(worker, transaction_id), FIND_TIMEOUT)
    except asyncio.TimeoutError as exc:
        raise Unknowable("sinks and broker take too long to answer; try again") from exc


def labelled(worker: FraudWorker, transaction_id: str) -> Labelled | None:
    """Return the decision with the labels on it that are known here; None if it has none.

    Raises `Unknowable` while this worker does not know all labels yet.
    """
    known = worker.parts().known_labels
    found = known.get(transaction_id)
    if found is None and known.lag() != 0:
        raise Unknowable("the latest labels are not known here yet; try again")
    return found


async def await_decision(
    worker: FraudWorker, transaction_id: str, seconds: float
) -> Decision | None:
    """Return the decision as soon as it is known here; None if that takes more than `seconds`."""
    until = monotonic() + seconds
    with worker.waiters.subscribe(transaction_id) as waiter:
        if known := worker.decided_here(transaction_id):
            return known
        if not worker.decides(transaction_id):
            finding = asyncio.ensure_future(_find_early(worker, transaction_id))
            both: list[asyncio.Future[Any]] = [waiter, finding]
            try:
                await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
                if finding.done() and (found := finding.result()):
                    return found
            finally:
                finding.cancel()
        await asyncio.wait([waiter], timeout=max(0.0, until - monotonic()))
        return waiter.result() if waiter.done() else None


async def _find_early(worker: FraudWorker, transaction_id: str) -> Decision | None:
    """Return the decision if the log or a sink has it already; None if neither answers."""
    with suppress(SinkUnavailable, KafkaError, Unknowable):
        if found := await _in_log(worker, transaction_id):
            return found
    with suppress(SinkUnavailable):
        return await _query_sinks(worker, transaction_id)
    return None


async def _find_made(worker: FraudWorker, transaction_id: str) -> Decision | None:
    """Return the decision if one was made, without waiting for one; see `find`.

    There is none if two searches find nothing. One is of the records known here, once they reach
    the end of the log. The other is of the sinks, once Postgres has all earlier records.
    """
    partition = worker.key_partition(transaction_id)
    recent = worker.parts().listener.recent(partition)
    if found := worker.decided_here(transaction_id):
        return found
    with suppress(KafkaError, Unknowable):
        if found := await _in_log(worker, transaction_id):
            return found
    for _ in range(MAX_ATTEMPTS):
        start, _ = _known_range(worker, partition)
        all_stored = recent.stored >= start
        failure: SinkUnavailable | None = None
        try:
            if (start or partition in worker.unread()) and (
                found := await _query_sinks(worker, transaction_id)
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
        if all_stored and _known_range(worker, partition)[0] <= start:
            return None
        if not all_stored:
            break
    raise Unknowable("older decisions are not in Postgres yet; try again")


def _known_range(worker: FraudWorker, partition: int) -> tuple[int, int]:
    """Return the offsets from and up to which the decisions of a partition are known here.

    They are known by the index of the partition, or by its recent decisions.
    """
    recent = worker.parts().listener.recent(partition)
    index = worker.parts().decisions.index(partition)
    next_offset = index.next_offset if index else 0
    return (0 if recent.start <= next_offset else recent.start), max(recent.end, next_offset)


async def _catch_up(worker: FraudWorker, transaction_id: str) -> None:
    """Wait until the partition of this id is known here up to the end that the log has now.

    Raises `Unknowable` if that takes too long, or if the log has become another one.
    """
    partition = worker.key_partition(transaction_id)
    _, known_end = _known_range(worker, partition)
    end = await _ask_broker(worker.parts().log_queries.end(partition))
    if end.high_water < known_end:
        raise Unknowable("the decision log is shorter than before")
    if (
        await _is_known_up_to(worker, partition, end.stable, SHORT_TIMEOUT)
        and end.stable < end.high_water
    ):
        raise Unknowable("an open transaction of another producer blocks the decision log")
    if worker.decides(transaction_id) and _known_range(worker, partition)[1] < end.high_water:
        # Another worker has written there. The index would notice only with the next decision.
        worker.parts().decisions.recheck(partition)
    if not await _is_known_up_to(worker, partition, end.high_water, LOOK_UP_TIMEOUT):
        raise Unknowable("the latest decisions are not known here yet; try again")


async def _is_known_up_to(worker: FraudWorker, partition: int, end: int, timeout: float) -> bool:
    """Whether a partition becomes known here up to an offset within `timeout` seconds."""
    until = monotonic() + timeout
    while _known_range(worker, partition)[1] < end:
        try:
            await asyncio.wait_for(worker.parts().listener.wait_for_change(), until - monotonic())
        except asyncio.TimeoutError:
            return False
    return True


async def _ask_broker(question: Awaitable[T]) -> T:
    try:
        return await asyncio.wait_for(question, LOOK_UP_TIMEOUT)
    except asyncio.TimeoutError as exc:
        raise Unknowable("the broker does not answer in time; try again") from exc


async def _in_log(worker: FraudWorker, transaction_id: str) -> Decision | None:
    """Return the decision from the log, if its record is a recent one.

    The first record under an id counts. An earlier one may have been forgotten here, so the sinks
    are asked for it. If they do not answer soon, the recent one is returned.
    Raises `KafkaError` or `Unknowable`.
    """
    partition = worker.key_partition(transaction_id)
    start, _ = _known_range(worker, partition)
    for offset in worker.parts().listener.recent(partition).find(transaction_id.encode()):
        found = await _ask_broker(worker.parts().log_queries.decision(partition, offset))
        if found is not None and found.transaction_id == transaction_id:
            return (await _earlier_decision(worker, transaction_id) if start else None) or found
    return None


async def _earlier_decision(worker: FraudWorker, transaction_id: str) -> Decision | None:
    with suppress(SinkUnavailable, asyncio.TimeoutError):
        return await asyncio.wait_for(_query_sinks(worker, transaction_id), SHORT_TIMEOUT)
    return None


async def _query_sinks(worker: FraudWorker, transaction_id: str) -> Decision | None:
    await worker.lookups.acquire()
    # A caller who leaves does not cancel the query: asyncpg opens a new connection to cancel one,
    # which costs more than any answer. The query itself releases the slot when it ends.
    query = asyncio.ensure_future(_query_and_release(worker, transaction_id))
    query.add_done_callback(retrieve_exception)
    return await asyncio.shield(query)


async def _query_and_release(worker: FraudWorker, transaction_id: str) -> Decision | None:
    try:
        return await asyncio.wait_for(
            _query_redis_then_postgres(worker, transaction_id), LOOK_UP_TIMEOUT
        )
    except asyncio.TimeoutError as exc:
        raise SinkUnavailable("redis, postgres: no answer in time") from exc
    finally:
        worker.lookups.release()


async def _query_redis_then_postgres(worker: FraudWorker, transaction_id: str) -> Decision | None:
    try:
        recent = await worker.parts().sinks.redis.get(transaction_id)
        if recent is not None:
            return recent
    except SinkUnavailable as exc:
        log.debug("asking Postgres for a decision: %s", exc)
    return await worker.parts().sinks.postgres.get(transaction_id)
