"""The decision path: records → transactions → scores → decisions → log, stores and table.

The topic of decisions is the truth: a decision is made when it is in there, as the first one under
its id. Nothing is finished before its decision is in the log, or its dead letter in theirs, and the
counts are in the changelog. A crash at any point is followed by a replay, and each of these steps
can be repeated without harm. Stores follow the log at their own pace, fed from here.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Final, cast

from agents.counting import Done, by_partition
from agents.inputs import input_of
from agents.lanes import Events
from fraudapp.app import app, runtime, settings
from fraudapp.ledger import Ledger
from fraudapp.metrics import batch_messages, latency, stage
from fraudapp.publishing import publish_dead_letters, send_home
from fraudapp.stores.base import Batch
from fraudapp.transport import SafeConsumer, run_of
from models.admission import Admission, Candidate, Rejection, admit, read
from models.counts import DUPLICATE, Counted
from models.deciding import decide
from tables.decision_counts import OwnCounts, Progress

log = logging.getLogger(__name__)

own_counts: Final = OwnCounts()


async def process(events: Events) -> Done | None:
    """Take runs of one partition up to where only their counts are missing; see `count`.

    None if they were assigned anew meanwhile. Raises whatever went wrong with nothing finished: the
    worker ends, the runs are replayed.
    """
    generation = app.consumer_generation_id
    if not is_current(events, generation):
        return None
    number = events[0].message.partition
    records = [record for event in events for record in run_of(event.message).records]
    batch_messages.observe(len(records))
    with stage("ledger"):
        ledger = await runtime.decisions.ready(number, generation)
    with stage("read"):
        reading = read([input_of(record) for record in records], settings.topic_partitions)
    with stage("admit"):
        admission = _admit(reading.candidates, ledger)
    # Before anything else: what is decided has to be known as soon as possible.
    if admission.new:
        await _decide(number, admission)
    rejected = [*reading.rejected, *admission.rejected]
    if rejected or reading.misplaced:
        with stage("reject"):
            await asyncio.gather(
                publish_dead_letters(runtime.appender, settings.dead_letters_topic, rejected),
                send_home(runtime.appender, settings.transactions_topic, reading.misplaced),
            )
    latency.observe_since([record.timestamp / 1_000 for record in records])
    counted = _counted(rejected, admission)
    return Done(number, events, counted, records[-1].offset, len(records))


async def count(taken: Sequence[Done]) -> None:
    """Write the counts of what is done, then declare the runs finished."""
    generation = app.consumer_generation_id
    current = [done for done in taken if is_current(done.events, generation)]
    progress = {}
    for number, (counted, offset) in by_partition(current).items():
        ledger = await runtime.decisions.ready(number, generation)
        progress[number] = Progress(counted, offset, ledger.counts)
    with stage("count"):
        await own_counts.add(generation, progress)
    for done in current:
        if is_current(done.events, app.consumer_generation_id):
            for event in done.events:
                cast(SafeConsumer, app.consumer).finished(event.message)


def is_current(events: Events, generation: int) -> bool:
    """Whether none of the runs has been assigned anew since; if so, they are all read again."""
    if all(event.message.generation_id == generation for event in events):
        return True
    log.info("%d runs were assigned anew, and are read again", len(events))
    leave(events)
    return False


def leave(events: Events) -> None:
    """Leave runs to whoever reads them next."""
    for event in events:
        cast(SafeConsumer, app.consumer).let_go(event.message)


def _admit(candidates: Sequence[Candidate], ledger: Ledger) -> Admission:
    """Sort the candidates by what the ledger has, and tell who waits for that."""
    known = ledger.find([each.transaction.transaction_id for each in candidates])
    runtime.waiting.wake(known.values())
    return admit(candidates, known)


async def _decide(number: int, admission: Admission) -> None:
    """Decide what is new, with one scoring call, and append it to the log."""
    with stage("score"):
        decisions = decide(
            admission.new,
            scorer=runtime.scorer,
            policy=runtime.policy,
            now=datetime.now(timezone.utc),
        )
    with stage("append"):
        undisturbed = await runtime.append(number, Batch(decisions))
    if undisturbed:
        runtime.waiting.wake(decisions)
        return
    # Somebody else wrote to this partition of the log: what came first under each id counts.
    ledger = await runtime.decisions.ready(number, app.consumer_generation_id)
    first = ledger.find([decision.transaction_id for decision in decisions])
    again = admit(admission.new, first)
    admission.repeated += again.repeated
    admission.rejected += again.rejected
    runtime.waiting.wake(first.values())


def _counted(rejected: Sequence[Rejection], admission: Admission) -> list[Counted]:
    """What became of the inputs that led to no decision."""
    return [
        *(Counted(each.input.position.offset, DUPLICATE) for each in admission.repeated),
        *(Counted(each.input.position.offset, each.reason) for each in rejected),
    ]
