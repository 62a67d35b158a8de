"""Joins labels in one partition of their topic with the decisions in the same partition.

What is joined, rejected or rerouted is sent first, and then the index moves on. A crash in between
is followed by the same records again, which change nothing.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from typing import Final

from aiokafka import ConsumerRecord

from fraudapp.kafka.last_records import last_record
from fraudapp.kafka.producer import NewRecord
from fraudapp.labels import metrics
from fraudapp.labels.database import write_when_possible
from fraudapp.labels.index import LabelIndex
from fraudapp.labels.means import Means
from fraudapp.labels.progress import Done
from fraudapp.messages.inputs import input_of
from fraudapp.messages.publish import publish_dead_letters, send_raw
from models.inputs import Input, Position, Rejection
from models.labels.joining import Step, Told
from models.labels.records import Labelled, encode
from models.labels.routing import Routed, route

MAX_CHECKED: Final = 200
"""Labels that wait for which decisions are looked for at once."""


class Joining:
    """Takes steps, one after the other; each method raises `KafkaError`, and what `Means` do."""

    def __init__(self, partition: int, means: Means, index: LabelIndex, done: Done) -> None:
        """`done` is what owners of the partition had done with it when this one took it over."""
        self.index = index
        self._partition = partition
        self._means = means
        self._before = done
        self._wait_ms = int(means.settings.label_wait * 1_000)

    def done(self) -> Done:
        """Return what is done with the partition."""
        if self.index.next_offset < self._before.handled:
            return self._before
        return Done(self.index.last, max(self.index.settled(), self._before.settled))

    async def take(self, records: Sequence[ConsumerRecord]) -> None:
        """Take in the next records of the topic."""
        partitions = self._means.settings.topic_partitions
        routed = route(
            [(input_of(each, partitions), each.timestamp) for each in records], partitions
        )
        told = self._first_told(routed.told)
        ids = [each.label.transaction_id for each in told]
        # No `await` until decisions that are made meanwhile are awaited.
        step = self.index.step(ids, self._wait_ms)
        step.hear(told, self._means.find(self._partition, ids))
        self.index.await_decisions(step)
        await self._send(step, routed)
        origins = [each.input.origin for each in told if _is_rerouted(each)]
        last = last_record(records[-1])
        await write_when_possible(partial(self.index.write, step, last, origins))

    async def settle(self, transaction_ids: Iterable[str]) -> None:
        """Join labels that wait with decisions that were made."""
        found = self._means.find(self._partition, transaction_ids)
        step = self.index.step(found, self._wait_ms)
        for decision in found.values():
            step.settle(decision)
        await self._send(step)
        await write_when_possible(partial(self.index.write, step))

    async def check(self, offset: int) -> int | None:
        """Look through some labels that wait, from an offset on; returns where to go on.

        Those whose decision is there are joined with it, and those that are overdue become dead
        letters. Returns None if it was the last of them.
        """
        waiting = self.index.waiting_from(offset, MAX_CHECKED)
        found = self._means.find(self._partition, [each.transaction_id for each in waiting])
        now_ms = int(time.time() * 1_000)
        overdue = [
            each
            for each in waiting
            if each.transaction_id not in found and each.is_overdue(now_ms, self._wait_ms)
        ]
        if found or overdue:
            ids = chain(found, (each.transaction_id for each in overdue))
            step = self.index.step(ids, self._wait_ms)
            for decision in found.values():
                step.settle(decision)
            for each in overdue:
                step.expire(each)
            await self._send(step)
            await write_when_possible(partial(self.index.write, step))
        return waiting[-1].said.offset + 1 if len(waiting) == MAX_CHECKED else None

    def _first_told(self, told: Sequence[Told]) -> list[Told]:
        """Leave out labels that were rerouted before, from the same origin.

        A worker that has crashed, or has lost its partitions unawares, reroutes labels again. They
        would count as newer than those that have come in between.
        """
        seen = self.index.seen([each.input.origin for each in told if _is_rerouted(each)])
        return list(_unseen(told, seen))

    async def _send(self, step: Step, routed: Routed | None = None) -> None:
        means, settings = self._means, self._means.settings
        if joined := self._unknown(step.joined.values()):
            records: list[NewRecord] = [
                (each.transaction_id.encode(), encode(each), []) for each in joined
            ]
            what = "publishing labelled decisions"
            await means.producer.append(
                settings.labelled_topic, self._partition, records, what, divide=True
            )
        rejected = [*self._new(step.rejected, self._before.settled)]
        if routed:
            rejected += self._new(routed.rejected, self._before.handled)
        await publish_dead_letters(means.producer, settings.dead_letters_topic, rejected)
        await self._reroute(routed.misrouted if routed else [])
        self._count(joined, rejected)

    async def _reroute(self, misrouted: Iterable[tuple[Input, int]]) -> None:
        inputs = defaultdict(list)
        for each, key_partition in misrouted:
            if each.position.offset >= self._before.handled:
                inputs[key_partition].append(each)
        topic = self._means.settings.labels_topic
        for key_partition, to_send in inputs.items():
            await send_raw(self._means.producer, topic, key_partition, to_send)

    def _unknown(self, joined: Iterable[Labelled]) -> list[Labelled]:
        """Leave out what former owners have sent, as far as that is known here."""
        before = [each.transaction_id for each in joined if each.version < self._before.handled]
        counted = self._means.known.counted(before) if before else {}
        return [
            each
            for each in joined
            if each.transaction_id not in counted
            or counted[each.transaction_id].version < each.version
        ]

    @staticmethod
    def _new(rejected: Iterable[Rejection], since: int) -> Iterator[Rejection]:
        return (each for each in rejected if each.input.position.offset >= since)

    @staticmethod
    def _count(joined: Iterable[Labelled], rejected: Iterable[Rejection]) -> None:
        for labelled in joined:
            metrics.joined.labels(labelled.source.value).inc()
        for rejection in rejected:
            metrics.dead.labels(rejection.reason).inc()


def _is_rerouted(told: Told) -> bool:
    return told.input.origin != told.input.position


def _unseen(told: Iterable[Told], seen: set[Position]) -> Iterator[Told]:
    for each in told:
        if _is_rerouted(each):
            if each.input.origin in seen:
                continue
            seen.add(each.input.origin)
        yield each
