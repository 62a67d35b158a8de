"""The transactions agent: hands the runs of each partition to its lane, and minds their end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from itertools import chain
from typing import Any, Final, TypeVar, cast

from faust.types import TP, AppT, StreamT

from agents.batch_sizer import Pace
from agents.batcher import Batches
from agents.completion import Counting, Done
from agents.partition_queues import Events, Lanes
from agents.pipeline import Share, count, decide_together, is_current, keep, leave, own_counts
from agents.surplus_partitions import Surplus, as_it_is, is_surplus, send_on
from fraudapp.app import app, runtime, settings
from fraudapp.kafka.consumer import RawSchema, SafeConsumer
from fraudapp.metrics import lost_messages

log = logging.getLogger(__name__)

T = TypeVar("T")
Decide = Callable[[Sequence[Events]], Coroutine[Any, Any, Sequence[T]]]

REFRESH_INTERVAL: Final = 5.0
"""Seconds between two writings of unchanged counts; see `OwnCounts`."""

STOP_TIMEOUT: Final = 2.0
"""Seconds that a batch in hand may take when the worker is asked to stop."""

transactions_topic: Final = app.topic(
    settings.transactions_topic,
    # Raw bytes: what Faust cannot decode it acknowledges, and the message is gone.
    schema=RawSchema(key_serializer="raw", value_serializer="raw"),
)


_making: Final[list[asyncio.Task[None]]] = []


@app.agent(transactions_topic, concurrency=1)
async def transactions(stream: StreamT[Any]) -> None:
    """Decide transactions, those of each partition in their order."""
    # An exception would acknowledge what is in hand.
    stream.enable_acks = False
    counting = Counting(_count, ended=runtime.ended)
    lanes = _lanes(
        decide=partial(_decide, decide_together), keep=partial(_keep, counting), ready=_ready
    )
    surplus = _lanes(decide=partial(_decide, as_it_is), keep=_send_on, ready=lambda number: True)

    def lanes_of(number: int) -> Lanes:
        return surplus if is_surplus(number) else lanes

    cast(SafeConsumer, app.consumer).is_full = lambda tp: (
        tp.topic == settings.transactions_topic and lanes_of(tp.partition).is_full(tp.partition)
    )
    async for event in stream.events():
        lanes_of(event.message.partition).put(event)


def _lanes(**street: Any) -> Lanes:
    """Return lanes of which batches are made from now on; see `Batches`."""
    pace = Pace(settings.batch_seconds)
    lanes = Lanes(pace, room=cast(SafeConsumer, app.consumer).look_again)
    batches: Batches[Any] = Batches(lanes, pace, ended=runtime.ended, **street)
    _making.append(asyncio.create_task(batches.make()))
    _making[-1].add_done_callback(runtime.ended)
    return lanes


@app.timer(REFRESH_INTERVAL)  # type: ignore[untyped-decorator]
async def refresh_counts() -> None:
    """Write the counts of this worker's partitions again; see `OwnCounts`."""
    if app.rebalancing or app.in_recovery:
        return
    generation, numbers = runtime.owned
    if generation == app.consumer_generation_id:
        indexes = {number: runtime.decisions.index(number) for number in numbers}
        totals = {number: dict(index.counts) for number, index in indexes.items() if index}
        own_counts.refresh(generation, totals)


@app.on_before_shutdown.connect  # type: ignore[arg-type]
async def let_callers_go(sender: AppT, **kwargs: Any) -> None:
    """Answer those who still wait; the server does not close before they have gone."""
    runtime.waiting.close()


@app.on_partitions_assigned.connect  # type: ignore[arg-type]
async def take_over(sender: AppT, assigned: set[TP], **kwargs: Any) -> None:
    """Let the sinks follow the partitions that are this worker's from now on."""
    topic = settings.transactions_topic
    all_numbers = sorted(tp.partition for tp in assigned if tp.topic == topic)
    for number in all_numbers:
        lost_messages.labels(str(number))  # 0, from which it may rise
    numbers = [number for number in all_numbers if not is_surplus(number)]
    runtime.take_over(numbers, app.consumer_generation_id)


async def _decide(decide: Decide[T], batch: Sequence[Events]) -> Sequence[T]:
    """Decide a batch, unless the worker is asked to stop, or is about to be rebalanced.

    What has begun then may take a little longer; the rest is left to whoever reads it next.
    """
    if app.should_stop or not app.flow_control.is_active():
        for events in batch:
            leave(events)
        return []
    return await _unless_stopped(decide(batch), [*chain(*batch)]) or []


async def _keep(counting: Counting, share: Share) -> None:
    if app.should_stop:  # its time was up while it was decided
        leave(share.events)
    elif not is_current(share.events, app.consumer_generation_id):
        return
    elif done := await _unless_stopped(keep(share), share.events):
        await counting.put(done)


async def _send_on(share: Surplus) -> None:
    await _unless_stopped(_sent_on(share), share.events)


async def _sent_on(share: Surplus) -> None:
    await send_on(share)
    if is_current(share.events, app.consumer_generation_id):
        for event in share.events:
            cast(SafeConsumer, app.consumer).finished(event.message)


def _ready(number: int) -> bool:
    """Whether deciding in this partition need not wait for its index to be read."""
    return runtime.decisions.is_ready(number, app.consumer_generation_id)


async def _count(number: int, taken: Sequence[Done]) -> None:
    await _unless_stopped(count(number, taken), [event for done in taken for event in done.events])


async def _unless_stopped(work: Coroutine[Any, Any, T], events: Events) -> T | None:
    """Do it; but when the worker is asked to stop, or to let go of its partitions, leave its runs.

    Unless it takes but a moment. All other workers wait for a rebalance as long as this one does.
    """
    working = asyncio.ensure_future(work)
    stopped = asyncio.ensure_future(app._stopped.wait())
    assigned_anew = asyncio.ensure_future(app.flow_control._suspend.wait())
    interruptions = [stopped, assigned_anew]
    await asyncio.wait([working, *interruptions], return_when=asyncio.FIRST_COMPLETED)
    for each in interruptions:
        each.cancel()
    if not working.done():
        await asyncio.wait([working], timeout=STOP_TIMEOUT)
    if working.done():
        return working.result()
    working.cancel()
    log.warning("%d runs are left to the next worker: they wait for broker or disk", len(events))
    leave(events)
    return None
