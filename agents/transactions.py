"""The decision path: topic → record → score → decision → log, stores and table → acknowledgement.

The topic of decisions is the truth: a decision is made when it is in there, as the first one under
its id. Nothing is acknowledged before its decision is in the log, or its dead letter in theirs, and
the counts are in the changelog. A crash at any point is followed by a replay, and each of these
steps can be repeated without harm. Stores follow the log at their own pace, fed from here.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timezone
from itertools import islice
from typing import Any, Final, cast

from faust import Stream
from faust.types import TP, AppT, EventT, StreamT

from agents.inputs import input_of
from fraudapp.app import app, runtime, settings
from fraudapp.ledger import Ledger
from fraudapp.metrics import batch_messages, latency, stage
from fraudapp.publishing import publish_dead_letters, send_home
from models.admission import Admission, Candidate, Rejection, admit, read
from models.counts import DUPLICATE, Counted
from models.deciding import decide
from models.records import Decision
from tables.decision_counts import OwnCounts, Progress

log = logging.getLogger(__name__)

REFRESH_INTERVAL: Final = 5.0
"""Seconds between two writings of unchanged counts; see `OwnCounts`."""

STOP_TIMEOUT: Final = 2.0
"""Seconds that a batch in hand may take when the worker is asked to stop."""

transactions_topic: Final = app.topic(
    settings.transactions_topic,
    key_serializer="raw",
    # Raw bytes: what Faust cannot decode it acknowledges, and the message is gone.
    value_serializer="raw",
)
own_counts: Final = OwnCounts()


@app.agent(transactions_topic, concurrency=1)
async def transactions(stream: StreamT[Any]) -> None:
    """Decide transactions in micro-batches."""
    # Faust's interface of streams leaves this method out.
    take = cast(Stream[Any], stream).noack_take
    async for events in take(settings.batch_size, within=settings.batch_wait):
        await _unless_stopped(events)


@app.timer(REFRESH_INTERVAL)  # type: ignore[untyped-decorator]
async def refresh_counts() -> None:
    """Write the counts of this worker's partitions again; see `OwnCounts`."""
    if app.rebalancing or app.in_recovery:
        return
    generation, numbers = runtime.owned
    if generation == app.consumer_generation_id:
        ledgers = {number: runtime.decisions.ledger(number) for number in numbers}
        totals = {number: dict(ledger.counts) for number, ledger in ledgers.items() if ledger}
        await own_counts.refresh(generation, totals)


@app.on_before_shutdown.connect  # type: ignore[arg-type]
async def let_callers_go(sender: AppT, **kwargs: Any) -> None:
    """Answer those who still wait; the server does not close before they have gone."""
    runtime.waiting.close()


@app.on_partitions_assigned.connect  # type: ignore[arg-type]
async def take_over(sender: AppT, assigned: set[TP], **kwargs: Any) -> None:
    """Let the stores follow the partitions that are this worker's from now on."""
    numbers = sorted(tp.partition for tp in assigned if tp.topic == settings.transactions_topic)
    runtime.take_over(numbers, app.consumer_generation_id)


async def _unless_stopped(events: Sequence[EventT[Any]]) -> None:
    """Process a batch; if the worker is stopped and it takes too long, leave it to the next one."""
    processing = asyncio.ensure_future(process(events))
    stopped = asyncio.ensure_future(app._stopped.wait())
    await asyncio.wait([processing, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if not processing.done():
        await asyncio.wait([processing], timeout=STOP_TIMEOUT)
    if processing.done():
        processing.result()
        return
    processing.cancel()
    log.warning("%d inputs are left to the next worker: the broker is in trouble", len(events))
    for event in events:
        app.consumer.unacked.discard(event.message)


async def process(events: Sequence[EventT[Any]]) -> None:
    """Take one batch the whole way, then acknowledge it.

    Raises whatever went wrong with nothing acknowledged: the worker ends, the batch is replayed.
    """
    generation = app.consumer_generation_id
    events = _of_generation(events, generation)
    batch_messages.observe(len(events))
    last = {event.message.partition: event.message.offset for event in events}
    with stage("ledger"):
        ledgers = {number: await runtime.decisions.ready(number, generation) for number in last}
    with stage("read"):
        reading = read([input_of(event) for event in events], settings.topic_partitions)
    with stage("admit"):
        admissions = _admit(reading.candidates, ledgers)
    # Before anything else: what is decided has to be known as soon as possible.
    await _decide(admissions)
    rejected = [*reading.rejected, *(each for one in admissions.values() for each in one.rejected)]
    with stage("reject"):
        await asyncio.gather(
            publish_dead_letters(app, settings.dead_letters_topic, rejected),
            send_home(app, settings.transactions_topic, reading.misplaced),
        )
    latency.observe_since(event.message.timestamp for event in events)
    if not _of_generation(events, app.consumer_generation_id):
        return
    counted = _counted(rejected, admissions)
    with stage("count"):
        await own_counts.add(
            generation,
            {
                number: Progress(counted[number], last[number], ledger.counts)
                for number, ledger in ledgers.items()
            },
        )
    for event in events:
        event.ack()


def _of_generation(events: Sequence[EventT[Any]], generation: int) -> list[EventT[Any]]:
    """Leave out events of partitions that have been assigned anew since; they are read again."""
    kept = [event for event in events if event.message.generation_id == generation]
    if len(kept) < len(events):
        log.info("%d inputs were assigned anew, and are read again", len(events) - len(kept))
        for event in events:
            if event.message.generation_id != generation:
                app.consumer.unacked.discard(event.message)
    return kept


def _admit(candidates: Sequence[Candidate], ledgers: dict[int, Ledger]) -> dict[int, Admission]:
    """Sort the candidates of each partition by what its ledger has, and tell who waits for that."""
    grouped: dict[int, list[Candidate]] = {number: [] for number in ledgers}
    for candidate in candidates:
        grouped[candidate.input.position.partition].append(candidate)
    admissions = {}
    for number, group in grouped.items():
        known = ledgers[number].find([each.transaction.transaction_id for each in group])
        runtime.waiting.announce(known.values())
        admissions[number] = admit(group, known)
    return admissions


async def _decide(admissions: dict[int, Admission]) -> None:
    """Decide what is new, with one scoring call for all partitions, and append it to the log."""
    with stage("score"):
        decisions = decide(
            [candidate for admission in admissions.values() for candidate in admission.new],
            scorer=runtime.scorer,
            policy=runtime.policy,
            now=datetime.now(timezone.utc),
        )
    remaining = iter(decisions)
    with stage("append"):
        await asyncio.gather(
            *(
                _append(number, admission, list(islice(remaining, len(admission.new))))
                for number, admission in admissions.items()
                if admission.new
            )
        )


async def _append(number: int, admission: Admission, decisions: list[Decision]) -> None:
    if await runtime.append(number, decisions):
        runtime.waiting.announce(decisions)
        return
    # Somebody else wrote to this partition of the log: what came first under each id counts.
    ledger = await runtime.decisions.ready(number, app.consumer_generation_id)
    first = ledger.find([decision.transaction_id for decision in decisions])
    again = admit(admission.new, first)
    admission.repeated += again.repeated
    admission.rejected += again.rejected
    runtime.waiting.announce(first.values())


def _counted(
    rejected: Sequence[Rejection], admissions: dict[int, Admission]
) -> dict[int, list[Counted]]:
    """What became of the inputs that led to no decision, by partition."""
    counted = defaultdict(list)
    for number, admission in admissions.items():
        for candidate in admission.repeated:
            counted[number].append(Counted(candidate.input.position.offset, DUPLICATE))
    for each in rejected:
        position = each.input.position
        counted[position.partition].append(Counted(position.offset, each.reason))
    return counted
