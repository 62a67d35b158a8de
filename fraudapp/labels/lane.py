"""A lane: one partition of the topic of labels, as long as it is this worker's."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from operator import gt
from time import monotonic
from typing import Final

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from fraudapp.decisions.index import INDEX_FAILED
from fraudapp.kafka.last_records import LastRecord, lost
from fraudapp.labels.database import DATABASE_FAILED, DatabaseDamaged
from fraudapp.labels.index import LabelIndex
from fraudapp.labels.joining import Joining
from fraudapp.labels.means import DecisionsUnread, Means
from fraudapp.labels.progress import Done
from fraudapp.operation import Operation
from fraudapp.process.disk import DiskFull
from fraudapp.retry import retry_forever
from models.records import Decision

log = logging.getLogger(__name__)

CHECK_SECONDS: Final = 60.0
"""Seconds between two looks through all labels that wait."""
TURN_SECONDS: Final = 1.0
"""Seconds that a lane without work waits, at most."""
BREAK_SECONDS: Final = 0.01
"""Seconds between two turns with work, each of some milliseconds: decisions have them."""

_WAITED_OUT: Final = (KafkaError, *DATABASE_FAILED, *INDEX_FAILED, DecisionsUnread)


class LabelsCut(KafkaError):  # type: ignore[misc]
    """The topic of labels has lost what was read of it."""


class Lane:
    """Takes in the records that it is given, those of one poll at a time."""

    def __init__(self, partition: int, means: Means) -> None:
        self.tp: Final = TopicPartition(means.settings.labels_topic, partition)
        self.operation = Operation(f"joining the labels of {self.tp.topic}/{partition}")
        self.task: asyncio.Task[None] | None = None
        """Its `run`, which ends only when it is cancelled."""
        self._means = means
        self._index: LabelIndex | None = None
        self._joining: Joining | None = None  # None while disk, broker or decisions are waited for
        self._next_offset = 0
        self._given: Sequence[ConsumerRecord] = ()
        self._decided: set[str] = set()
        self._work = asyncio.Event()
        self._check_at = 0.0
        self._check_from: int | None = None  # an offset, while a check is under way

    @property
    def index(self) -> LabelIndex | None:
        """The index; None while the lane cannot go on."""
        return self._joining.index if self._joining else None

    @property
    def next_offset(self) -> int:
        """Offset of the first record that is not taken in; as known last, if it cannot go on."""
        if self._joining:
            self._next_offset = self._joining.index.next_offset
        return self._next_offset

    @property
    def pending(self) -> int:
        """Number of records that were given, and are not taken in."""
        return len(self._given)

    def done(self) -> Done | None:
        """Return what is done with the partition; None if that is not known."""
        with suppress(*DATABASE_FAILED):  # the lane meets them too
            return self._joining.done() if self._joining else None
        return None

    def give(self, records: Sequence[ConsumerRecord]) -> None:
        """Let records be taken in.

        The partition has to be paused, and nothing more may be given until the lane resumes it.
        """
        self._given = records
        self._work.set()

    def decided(self, decisions: Iterable[Decision]) -> None:
        """Let labels that wait for these decisions be joined with them; does not block."""
        if self._joining and (awaited := self._joining.index.awaited):
            self._decided |= awaited.intersection(each.transaction_id for each in decisions)
            if self._decided:
                self._work.set()

    async def run(self) -> None:
        """Join labels until cancelled; what disk, broker and decision index do is waited out."""
        try:
            async for attempt in retry_forever(self.operation, on=_WAITED_OUT):
                with attempt:
                    await self._run()
        finally:
            self._close()

    async def _run(self) -> None:
        try:
            if self._index is None:
                self._index = self._means.open_index(self.tp.partition)
            self._joining = await self._begin(self._index)
            while True:
                await self._turn(self._joining)
                self.operation.succeeded()
        except DatabaseDamaged as exc:
            log.warning("%s: it is made anew", exc)
            if index := self._index:
                self._index = None
                index.clear()
                self._index = index
            raise
        except DiskFull as exc:
            if not exc.heals:
                self._close()
            raise
        finally:
            self._joining = None

    async def _begin(self, index: LabelIndex) -> Joining:
        done = await self._means.progress.of(self.tp.partition)
        for last in filter(None, (index.last, done.last)):
            if how := await self._lost(last):
                log.warning("%s: the broker has lost its end, so that all of it is read again", how)
                index.clear()
                done = Done()
                break
        if self.tp.partition not in self._means.begun and _is_ahead(index, done):
            log.warning(
                "the label index of %s/%d is ahead of what is committed, so that the broker may "
                "have lost what was sent: it is made anew",
                *self.tp,
            )
            index.clear()
        self._means.begun.add(self.tp.partition)
        if index.next_offset < done.handled:
            await self._means.know_all(self.tp.partition)
        self._given, self._check_at, self._check_from = (), 0.0, None
        self._means.consumer.seek(self.tp, index.next_offset)
        self._means.consumer.resume(self.tp)
        return Joining(self.tp.partition, self._means, index, done)

    async def _lost(self, last: LastRecord) -> str | None:
        topic, partition = self.tp
        return await lost(self._means.consumer, topic, {partition: last})

    async def _turn(self, joining: Joining) -> None:
        await self._pause(TURN_SECONDS if self._check_from is None else BREAK_SECONDS)
        has_work = bool(self._given or self._decided)
        if self._given:
            await self._take(joining)
        if self._decided:
            decided, self._decided = self._decided, set()
            await joining.settle(sorted(decided))
        if self._check_from is None and monotonic() >= self._check_at:
            if joining.index.last and (how := await self._lost(joining.index.last)):
                raise LabelsCut(how)
            self._check_at = monotonic() + CHECK_SECONDS
            self._check_from = 0
        if self._check_from is not None:
            self._check_from = await joining.check(self._check_from)
            if self._check_from is None:
                joining.index.flush()
        if has_work:
            await asyncio.sleep(BREAK_SECONDS)

    async def _pause(self, seconds: float) -> None:
        """Wait until there is work, or for so many seconds."""
        timer = asyncio.get_running_loop().call_later(seconds, self._work.set)
        try:
            await self._work.wait()
        finally:
            timer.cancel()
            self._work.clear()

    async def _take(self, joining: Joining) -> None:
        if self._given[0].offset < joining.index.next_offset:
            raise LabelsCut(f"{self.tp.topic}/{self.tp.partition} was cut")
        await joining.take(self._given)
        self._given = ()
        self._means.consumer.resume(self.tp)

    def _close(self) -> None:
        if self._index:
            self._index.close()
        self._index = None


def _is_ahead(index: LabelIndex, done: Done) -> bool:
    """Whether an index has done more than was committed last.

    That was committed when the worker stopped, or a second before it died. Without any there is
    nothing to compare with: a group that nobody has used for days is forgotten.
    """
    has_done = index.next_offset, index.settled()
    return done.last is not None and any(map(gt, has_done, (done.handled, done.settled)))
