"""The decision path: records → transactions → scores → decisions → log, sinks and table.

The topic of decisions is the truth: a decision is made when it is in there, as the first one under
its id. Nothing is finished before its decision is in the log, or its dead letter in theirs, and the
counts are in the changelog. A crash at any point is followed by a replay, and each of these steps
can be repeated without harm. Sinks follow the log at their own pace, fed from here.

A batch is decided with one scoring call for all its partitions; from then on each partition's share
of it goes its own way. What the broker does not take holds up no other: its lane fills, and
no more of it is fetched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, Final, cast

from aiokafka import ConsumerRecord
from faust.types import TP

from agents.completion import Done
from agents.inputs import input_of
from agents.partition_queues import Events, number_of
from fraudapp.app import app, runtime, settings
from fraudapp.decisions.batch import Batch
from fraudapp.decisions.index import INDEX_FAILED, DecisionIndex
from fraudapp.kafka.consumer import SafeConsumer, run_of
from fraudapp.messages.publish import publish_dead_letters, send_home
from fraudapp.metrics import batch_messages, latency, stage
from fraudapp.retry import patiently
from models.admission import Admission, Candidate, Reading, Rejection, admit, read
from models.counts import DUPLICATE, Counted
from models.deciding import decide, unscored
from models.records import Decision
from tables.decision_counts import OwnCounts, Progress

log = logging.getLogger(__name__)

own_counts: Final = OwnCounts()


@dataclass
class Share:
    """What a batch holds of one partition, and what has become of it."""

    number: int
    events: Events
    records: Sequence[ConsumerRecord]
    reading: Reading
    admission: Admission
    cursor: int
    """That of the index, when ids were looked up in it."""
    decisions: Sequence[Decision] = field(default_factory=list)
    """On what is new, in that order."""


async def decide_together(batch: Sequence[Events]) -> list[Share]:
    """Decide what is new in runs of several partitions, each with its own item; see `keep`.

    Runs that were assigned anew meanwhile are left out. Nothing is written yet.
    """
    shares = await _look_up(batch)
    if shares:
        batch_messages.observe(sum(len(share.records) for share in shares))
    if any(share.admission.new for share in shares):
        with stage("score"):
            decisions = iter(_decisions(shares))
        for share in shares:
            share.decisions = [next(decisions) for _ in share.admission.new]
    return shares


async def keep(share: Share) -> Done:
    """Take a share up to where only its counts are missing; see `count`.

    Raises whatever went wrong with nothing finished: the worker ends, the runs are replayed.
    """
    # Before anything else: what is decided has to be known as soon as possible.
    if share.decisions:
        with stage("append"):
            await _append(share)
    admission, reading = share.admission, share.reading
    rejected = [*reading.rejected, *admission.rejected]
    if rejected or reading.misplaced:
        with stage("reject"):
            await asyncio.gather(
                publish_dead_letters(runtime.appender, settings.dead_letters_topic, rejected),
                send_home(runtime.appender, settings.transactions_topic, reading.misplaced),
            )
    records = share.records
    latency.observe_since([record.timestamp / 1_000 for record in records])
    counted = _counted(rejected, admission)
    for event in share.events:
        run_of(event.message).release()
    return Done(share.number, share.events, counted, records[-1].offset, len(records))


async def count(number: int, taken: Sequence[Done]) -> None:
    """Write the counts of what is done of a partition, then declare the runs finished."""
    generation = app.consumer_generation_id
    current = [done for done in taken if is_current(done.events, generation)]
    if not current:
        return
    index = await runtime.decisions.ready(number, generation)
    counted = [each for done in current for each in done.counted]
    progress = Progress(counted, max(done.offset for done in current), index.counts)
    with stage("count"):
        await own_counts.add(generation, number, progress)
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


async def _look_up(batch: Sequence[Events]) -> list[Share]:
    """Read the runs and look up what was decided, in indexes made anew where they are damaged."""
    while True:
        generation = app.consumer_generation_id
        batch = [events for events in batch if is_current(events, generation)]
        with stage("ledger"):
            numbers = [number_of(events) for events in batch]
            indexes = await _ready(numbers, generation)
            if new := [n for n in numbers if not own_counts.has_begun(generation, n)]:
                await asyncio.gather(*(_begin(number, generation) for number in new))
                continue
        # From here on nothing gives way: what the indexes say holds for all of it.
        try:
            return [_share(events, index) for events, index in zip(batch, indexes, strict=True)]
        except INDEX_FAILED as exc:
            runtime.decisions.failed(exc)


async def _ready(numbers: Sequence[int], generation: int) -> list[DecisionIndex]:
    """Return the indexes, all of which are ready at the same moment."""
    decisions = runtime.decisions
    while True:
        indexes = [await decisions.ready(number, generation) for number in numbers]
        # While one is waited for, another may turn out to be damaged.
        if all(decisions.index(n) is each for n, each in zip(numbers, indexes, strict=True)):
            return indexes


async def _begin(number: int, generation: int) -> None:
    """Find out whether the topic is still the one that was counted."""
    topic = settings.transactions_topic
    partition = TP(topic, number)
    async for attempt in patiently(f"looking where {topic}/{number} ends"):
        with attempt:
            end = (await app.consumer.highwaters(partition))[partition]
    index = await runtime.decisions.ready(number, generation)
    if generation != app.consumer_generation_id:
        return
    await own_counts.begin(
        generation, number, runtime.watch.ids[topic], end=end or 0, cursor=index.cursor
    )


def _decisions(shares: Sequence[Share]) -> list[Decision]:
    """Decide all that is new; what the model has no score for is rejected, and the rest decided."""
    how: Any = {"scorer": runtime.scorer, "policy": runtime.policy}
    how["now"] = datetime.now(timezone.utc)
    new = [candidate for share in shares for candidate in share.admission.new]
    try:
        return decide(new, **how)
    except ValueError:
        if not (why := unscored(new, **how)):
            raise
    log.error("%d of %d transactions have no score: %s", len(why), len(new), min(why.values()))
    for share in shares:
        share.admission.leave_out(why)
    return decide([candidate for share in shares for candidate in share.admission.new], **how)


def _share(events: Events, index: DecisionIndex) -> Share:
    records = [record for event in events for record in run_of(event.message).records]
    with stage("read"):
        there = runtime.watch.partitions
        inputs = [input_of(record, there) for record in records]
        reading = read(inputs, settings.topic_partitions)
    with stage("admit"):
        admission = _admit(number_of(events), reading.candidates, index)
    return Share(number_of(events), events, records, reading, admission, index.cursor)


def _admit(number: int, candidates: Sequence[Candidate], index: DecisionIndex) -> Admission:
    """Sort the candidates by what the index has, and tell who waits for that."""
    known = index.find([each.transaction.transaction_id for each in candidates])
    runtime.waiting.wake(known.values())
    return admit(candidates, known, index.before(own_counts.since(number), known))


async def _append(share: Share) -> None:
    """Append decisions to the log.

    If somebody else wrote to this partition of it meanwhile, what came first under each id counts.
    """
    candidates, decisions, cursor = share.admission.new, share.decisions, share.cursor
    while decisions and not await runtime.append(share.number, Batch(decisions), cursor):
        index = await runtime.decisions.ready(share.number, app.consumer_generation_id)
        try:
            again, cursor = _admit(share.number, candidates, index), index.cursor
        except INDEX_FAILED as exc:
            runtime.decisions.failed(exc)
            continue
        share.admission.repeated += again.repeated
        share.admission.rejected += again.rejected
        # What the log does not have: nothing was written, since others had been before.
        candidates = again.new
        new = {each.transaction.transaction_id for each in candidates}
        decisions = [each for each in decisions if each.transaction_id in new]
    runtime.waiting.wake(decisions)


def _counted(rejected: Sequence[Rejection], admission: Admission) -> list[Counted]:
    """What became of the inputs that led to no decision."""
    return [
        *(Counted(each.input.position.offset, DUPLICATE) for each in admission.repeated),
        *(Counted(each.input.position.offset, each.reason) for each in rejected),
    ]
