"""The path of a transaction: route → deduplicate → score → append → enqueue → complete.

The decision log is the truth: a decision is made when it is in there, as the first one under its
id. Nothing is acknowledged before its decision is in the log, or its dead letter in theirs, and its
counts are in the changelog. A crash at any point is followed by a redelivery, and each step can be
repeated without harm. Sinks follow the log at their own pace, fed from here.

A batch is decided with one scoring call for all its partitions; from then on each partition goes
its own way. A partition whose appends the broker does not accept holds up
no other: its queue fills, and no more of it is fetched.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from aiokafka import ConsumerRecord
from faust.types import TP

from agents.completion import Appended, Completion
from agents.in_flight import InFlight
from agents.partition_queues import Events, partition_of
from agents.scoring import Scoring
from fraudapp.decisions.batch import Batch
from fraudapp.decisions.index import INDEX_FAILED, DecisionIndex
from fraudapp.kafka.record_batch import record_batch_of
from fraudapp.messages.inputs import input_of
from fraudapp.messages.publish import publish_dead_letters, reroute
from fraudapp.metrics import batch_messages, latency, stage
from fraudapp.settings import Settings
from fraudapp.worker import Started
from models.counts import DUPLICATE, Counted
from models.deduplication import Deduplicated, deduplicate
from models.inputs import Rejection, ValidInput
from models.profiles.events import Events as InFlightEvents
from models.records import Decision
from models.routing import Routed, route
from tables.decision_counts import OwnCounts, Progress

log = logging.getLogger(__name__)


@dataclass
class PartitionBatch:
    """The part of a batch that is of one partition, and its results so far."""

    partition: int
    events: Events
    records: Sequence[ConsumerRecord]
    routed: Routed
    deduplicated: Deduplicated
    next_offset: int
    """Next offset of the index when the ids were looked up in it."""
    decisions: Sequence[Decision] = field(default_factory=list)
    """Decisions on `deduplicated.new`, in its order."""
    in_flight: InFlightEvents | None = None
    """See `agents.scoring`."""


class Pipeline:
    """Takes batches from routing to completion; `agents.batcher` begins and finishes them."""

    def __init__(
        self,
        settings: Settings,
        started: Started,
        in_flight: InFlight,
        counts: OwnCounts,
        *,
        decided: Callable[[Sequence[Decision]], None],
        ended: Callable[[asyncio.Task[Any]], None],
    ) -> None:
        """Return a pipeline without batches.

        `decided` is called with the decisions of each batch, before they are appended and before
        what is in force can change. `ended` is called with each task of the completion when it
        ends.
        """
        self._settings = settings
        self._worker = started
        self._log = started.decisions
        self._in_flight = in_flight
        self._counts = counts
        self._scoring = Scoring(settings, started)
        self._decided = decided
        self.completion = Completion(self._complete_unless_interrupted, ended=ended)

    def is_ready(self, partition: int) -> bool:
        """Whether deciding in this partition need not wait for its index to be read in."""
        return self._log.is_ready(partition, self._in_flight.generation)

    async def begin(self, batch: Sequence[Events]) -> Sequence[PartitionBatch]:
        """Deduplicate and decide a batch; nothing is written yet.

        Partitions that were interrupted or reassigned are released, and left out of the result.
        """
        whole = [*chain(*batch)]
        if self._in_flight.suspended:
            self._in_flight.release(whole)
            return []
        return await self._in_flight.unless_interrupted(self._decide(batch), whole) or []

    async def finish(self, part: PartitionBatch) -> None:
        """Append the decisions, and hand the batch to the completion."""
        if self._in_flight.stopping:  # its time was up while it was decided
            self._in_flight.release(part.events)
            return
        try:
            for each in self._in_flight.release_stale([part], lambda part: part.events):
                appending = self._append(each)
                if appended := await self._in_flight.unless_interrupted(appending, each.events):
                    await self.completion.put(appended)
        finally:
            self._scoring.release(part)

    async def _decide(self, batch: Sequence[Events]) -> list[PartitionBatch]:
        parts = await self._deduplicate(batch)
        if parts:
            batch_messages.observe(sum(len(part.records) for part in parts))
        if any(part.deduplicated.new for part in parts):
            with stage("score"):
                decisions = self._scoring.decide(parts)
            self._decided(decisions)
        return parts

    async def _deduplicate(self, batch: Sequence[Events]) -> list[PartitionBatch]:
        """Parse the record batches and look up earlier decisions."""
        while True:
            batch = self._in_flight.release_stale(batch, lambda events: events)
            generation = self._in_flight.generation
            with stage("ledger"):
                partitions = [partition_of(events) for events in batch]
                indexes = await self._indexes(partitions, generation)
                if new := [p for p in partitions if not self._counts.has_begun(generation, p)]:
                    await asyncio.gather(*(self._begin(each, generation) for each in new))
                    continue
                next_offsets = {
                    partition: index.next_offset
                    for partition, index in zip(partitions, indexes, strict=True)
                }
                if await self._scoring.wait_for_profiles(next_offsets):
                    continue
            # No `await` from here on: the state that was looked up cannot change under us.
            try:
                return [self._part(*each) for each in zip(batch, indexes, strict=True)]
            except INDEX_FAILED as exc:
                self._log.repair(exc)

    async def _indexes(self, partitions: Sequence[int], generation: int) -> list[DecisionIndex]:
        """Return the index of each partition once all are ready together."""
        while True:
            indexes = [await self._log.ready(partition, generation) for partition in partitions]
            # While one is waited for, another may turn out to be damaged.
            now = [self._log.index(partition) for partition in partitions]
            if all(a is b for a, b in zip(now, indexes, strict=True)):
                return indexes

    async def _begin(self, partition: int, generation: int) -> None:
        """Check whether the topic is still the one whose inputs were counted."""
        end = await self._in_flight.end_of(TP(self._settings.transactions_topic, partition))
        index = await self._log.ready(partition, generation)
        if generation == self._in_flight.generation:
            topic_id = self._worker.topics.ids[self._settings.transactions_topic]
            await self._counts.begin(
                generation, partition, topic_id, end=end or 0, next_offset=index.next_offset
            )

    def _part(self, events: Events, index: DecisionIndex) -> PartitionBatch:
        records = [record for event in events for record in record_batch_of(event.message).records]
        with stage("read"):
            partitions = self._worker.topics.partitions
            inputs = [input_of(record, partitions) for record in records]
            routed = route(
                inputs, self._settings.topic_partitions, self._settings.transaction_schema
            )
        with stage("admit"):
            found = self._look_up(partition_of(events), routed.valid, index)
        return PartitionBatch(
            partition_of(events), events, records, routed, found, index.next_offset
        )

    def _look_up(
        self, partition: int, valid: Sequence[ValidInput], index: DecisionIndex
    ) -> Deduplicated:
        """Deduplicate by the index, and notify the waiters of decisions found there."""
        known = index.find([each.transaction.transaction_id for each in valid])
        self._worker.waiters.notify(known.values())
        return deduplicate(valid, known, index.before(self._counts.since(partition), known))

    async def _append(self, part: PartitionBatch) -> Appended:
        """Write decisions, dead letters and rerouted inputs to Kafka.

        An error is raised with nothing acknowledged: the worker ends, and all is redelivered.
        """
        # Decisions first: they have to be known as soon as possible.
        if part.decisions:
            with stage("append"):
                await self._append_decisions(part)
        rejected = [*part.routed.rejected, *part.deduplicated.rejected]
        if rejected or part.routed.misrouted:
            producer, settings = self._worker.producer, self._settings
            with stage("reject"):
                await asyncio.gather(
                    publish_dead_letters(producer, settings.dead_letters_topic, rejected),
                    reroute(
                        producer,
                        settings.transactions_topic,
                        part.routed.misrouted,
                        settings.transaction_schema,
                    ),
                )
        records = part.records
        latency.observe_since([record.timestamp / 1_000 for record in records])
        for event in part.events:
            record_batch_of(event.message).drop_records()
        counted = _counted(rejected, part.deduplicated)
        return Appended(part.partition, part.events, counted, records[-1].offset, len(records))

    async def _append_decisions(self, part: PartitionBatch) -> None:
        """Append decisions.

        If another writer appended in between, look the ids up again and append what is still
        undecided: some of ours may be in the log already, and of several under one id the first
        counts.
        """
        valid, decisions, next_offset = part.deduplicated.new, part.decisions, part.next_offset
        while decisions:
            batch = Batch(decisions)
            if await self._append_batch(part.partition, batch, next_offset):
                self._scoring.settle(part, batch.encoded[-1])
                break
            self._scoring.release(part)
            index = await self._log.ready(part.partition, self._in_flight.generation)
            try:
                again = self._look_up(part.partition, valid, index)
                next_offset = index.next_offset
            except INDEX_FAILED as exc:
                self._log.repair(exc)
                continue
            part.deduplicated.duplicates += again.duplicates
            part.deduplicated.rejected += again.rejected
            valid = again.new
            new = {each.transaction.transaction_id for each in valid}
            decisions = [each for each in decisions if each.transaction_id in new]
        self._worker.waiters.notify(decisions)
        self._worker.labels.decided(part.partition, decisions)

    async def _append_batch(self, partition: int, batch: Batch, next_offset: int) -> bool:
        """Append to the log under back-pressure, and enqueue for the sinks what is in it."""
        await self._worker.assignment_settled()
        writers = self._worker.sink_writers
        for writer in writers:
            await writer.wait_for_capacity(batch)
        undisturbed = await self._log.append(partition, batch, next_offset)
        self._worker.listener.notify()
        for writer in writers:
            if undisturbed:
                end = next_offset + len(batch.decisions)
                writer.enqueue(partition, next_offset, end, batch)
            else:
                writer.notify()
        return undisturbed

    async def _complete_unless_interrupted(self, partition: int, taken: Sequence[Appended]) -> None:
        events = [*chain.from_iterable(appended.events for appended in taken)]
        await self._in_flight.unless_interrupted(self._complete(partition, taken), events)

    async def _complete(self, partition: int, taken: Sequence[Appended]) -> None:
        """Write the counts of a partition, then acknowledge what they count."""
        current = self._in_flight.release_stale(taken, lambda appended: appended.events)
        if not current:
            return
        generation = self._in_flight.generation
        index = await self._log.ready(partition, generation)
        counted = [each for appended in current for each in appended.counted]
        offset = max(appended.offset for appended in current)
        with stage("count"):
            await self._counts.add(generation, partition, Progress(counted, offset, index.counts))
        for appended in self._in_flight.release_stale(current, lambda appended: appended.events):
            self._in_flight.acknowledge(appended.events)


def _counted(rejected: Sequence[Rejection], found: Deduplicated) -> list[Counted]:
    """Return the outcomes of the inputs that led to no decision."""
    return [
        *(Counted(each.input.position.offset, DUPLICATE) for each in found.duplicates),
        *(Counted(each.input.position.offset, each.reason) for each in rejected),
    ]
