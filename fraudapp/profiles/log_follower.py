"""Reads the decisions that other workers make, and those that this one could not follow itself."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from time import monotonic
from typing import Final, Protocol

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError

from fraudapp.decisions.catch_ups import Read
from fraudapp.decisions.log_records import log_records
from fraudapp.kafka.clients import new_consumer
from fraudapp.kafka.last_records import (
    CHECK_SECONDS,
    LastRecord,
    digest_of,
    last_record,
    lost,
    next_offsets,
)
from fraudapp.kafka.offsets import ends, within_time
from fraudapp.profiles.folding import Folded
from fraudapp.profiles.repeated import REMEMBERED
from fraudapp.settings import Settings

MAX_POLL_RECORDS: Final = 1_000
"""Records that are taken in without a pause: some milliseconds."""


class LogCut(KafkaError):  # type: ignore[misc]
    """The log has lost what was read of it: a broker has lost the end of it."""


class Indexes(Protocol):
    """Tells how far the decision indexes of this worker are; `DecisionLog` implements it."""

    def decided(self, partition: int) -> int | None:
        """Return the next offset of an index that has caught up; None if there is none."""

    def reading(self, partition: int) -> int | None:
        """Return the next offset of an index that is catching up; None if it is not."""


class LogFollower:
    """Folds the partitions of the log that nobody settles here.

    A partition of this worker is read until it is where the pipeline is, and paused then: what is
    decided here is settled by the pipeline. It is paused as well while the index of the partition
    is read from further back: what has been read for the index is folded as it comes by.
    """

    def __init__(self, settings: Settings, indexes: Indexes) -> None:
        self._settings = settings
        self._indexes = indexes
        self._partitions = {
            each: TopicPartition(settings.decisions_topic, each)
            for each in range(settings.topic_partitions)
        }
        self._own: Collection[int] = ()
        self._left_to_index: set[int] = set()
        self._next: dict[int, int] = {}  # offset before which no record can come
        self._caught_up: set[int] = set()
        self._behind: dict[int, float] = {}
        self._ends: dict[int, int] = {}  # when it began
        self._check_at = 0.0
        self.consumer = new_consumer(
            settings,
            fetch_max_wait_ms=int(settings.broker_fetch_wait * 1_000),
            max_poll_records=MAX_POLL_RECORDS,
        )

    async def begin(self, folded: Folded) -> None:
        """Go to where the profiles are; raises what `check` raises."""
        self.consumer.assign([*self._partitions.values()])
        await self.check(folded)
        found = await ends(self.consumer, self._partitions.values())
        self._ends = {tp.partition: end.high_water for tp, end in found.items()}
        # Markers of transactions, after the last record, may be lost with nothing of the log.
        folded.decisions |= next_offsets(folded.last_decisions)
        for partition in self._partitions:
            self.follow(partition, folded)

    async def check(self, folded: Folded) -> None:
        """Raise `LogCut` if the log is not the one that is folded, or a `KafkaError`."""
        topic, last = self._settings.decisions_topic, folded.last_decisions.copy()
        if how := await lost(self.consumer, topic, last):
            raise LogCut(how)
        self._check_at = monotonic() + CHECK_SECONDS

    @property
    def check_is_due(self) -> bool:
        """Whether it is time to `check` again."""
        return monotonic() >= self._check_at

    def follow(self, partition: int, folded: Folded) -> None:
        """Read a partition from where its profiles are, and its ids from before."""
        tp, at = self._partitions[partition], folded.decisions.get(partition, 0)
        if tp not in self.consumer.assignment():
            return  # it has not begun, and will read all of them
        self._left_to_index.discard(partition)
        self._next[partition] = max(0, at - REMEMBERED)
        self.consumer.seek(tp, self._next[partition])
        self._behind.setdefault(partition, monotonic())
        self.consumer.resume(tp)

    def own(self, partitions: Collection[int], folded: Folded) -> None:
        """Note which partitions are this worker's now, and read those that are no longer."""
        self._own = partitions
        for partition in self._partitions.keys() - {*partitions}:
            if not (self.is_followed(partition) or self._will_come_by(partition, folded)):
                self.follow(partition, folded)

    def take(self, folded: Folded, partition: int, raw: Sequence[ConsumerRecord]) -> None:
        """Fold records that were read of a partition; raises `LogCut`, or what folding raises."""
        at, position = folded.decisions.get(partition, 0), raw[-1].offset + 1
        if raw[0].offset < self._next.get(partition, 0):
            # aiokafka begins anew, in silence, when the offset of the next record is past the end.
            raise LogCut(f"partition {partition} of {self._settings.decisions_topic} was cut")
        self._next[partition] = position
        # Anybody can write a record whose key is the id of a transaction that is not decided yet.
        schema = self._settings.transaction_schema
        records = log_records(raw, self._settings.topic_partitions, schema)
        if known := [each.decision for each in records if each.offset < at]:
            folded.repeated(partition).add([each.transaction_id.encode() for each in known])
        if position <= at:
            return
        new = [each.decision for each in records[len(known) :]]
        folded.apply(partition, new, position)
        folded.last_decisions[partition] = last_record(raw[-1])

    def take_read(self, folded: Folded, read: Read) -> None:
        """Fold what was read for an index, if that is awaited; raises what folding raises."""
        partition, at = read.partition, folded.decisions.get(read.partition, 0)
        if partition not in self._left_to_index or read.start > at or read.end <= at:
            return
        new = [each for each in read.records if each.offset >= at]
        folded.apply(partition, [each.decision for each in new], read.end)
        last = LastRecord(new[-1].offset, digest_of(new[-1].encoded))
        folded.last_decisions[partition] = last
        self._next[partition] = read.end

    async def rest(self, folded: Folded) -> None:
        """Note which partitions are read to their end, and leave those of this worker."""
        now = monotonic()
        for partition, tp in self._partitions.items():
            if self._will_come_by(partition, folded):
                self._left_to_index.add(partition)
                self.consumer.pause(tp)
            elif partition in self._left_to_index:
                self._go_on(partition, folded)
            if tp in self.consumer.paused():
                continue
            at, end = folded.decisions.get(partition, 0), self.consumer.highwater(tp)
            if end is not None and end > at:
                # Markers of transactions hold no record.
                position = await within_time(self.consumer.position(tp))
                # What was decided here may have been settled meanwhile.
                folded.decisions[partition] = at = max(folded.decisions.get(partition, 0), position)
            if end is None or at < end:
                self._behind.setdefault(partition, now)
                continue
            self._has_reached_end(partition)
            decided = self._indexes.decided(partition) if partition in self._own else None
            if decided is not None and at >= decided:
                self.consumer.pause(tp)

    def _has_reached_end(self, partition: int) -> None:
        self._behind.pop(partition, None)
        self._caught_up.add(partition)

    def _go_on(self, partition: int, folded: Folded) -> None:
        """Go on once an index has been read, or is read no more."""
        decided = self._indexes.decided(partition)
        if decided is not None and folded.decisions.get(partition, 0) >= decided:
            self._left_to_index.discard(partition)
            self._has_reached_end(partition)
        else:
            self.follow(partition, folded)

    def _will_come_by(self, partition: int, folded: Folded) -> bool:
        """Whether what is read for the index of a partition has still to reach its profiles."""
        at = folded.decisions.get(partition, 0)
        if self._next.get(partition, 0) < at:
            return False  # the ids before it are read first
        reading = self._indexes.reading(partition)
        return reading is not None and reading <= at

    def is_followed(self, partition: int) -> bool:
        """Whether a partition is read now."""
        tp = self._partitions[partition]
        return tp in self.consumer.assignment() and tp not in self.consumer.paused()

    def left(self, folded: Folded) -> int:
        """Return how many records are to be read, about."""
        found = 0
        for partition, tp in self._partitions.items():
            end = self._ends.get(partition, 0)
            if tp in self.consumer.assignment():
                end = max(end, self.consumer.highwater(tp) or 0)
            found += max(0, end - folded.decisions.get(partition, 0))
        return found

    @property
    def has_caught_up(self) -> bool:
        """Whether each partition was read to its end once."""
        return self._caught_up == self._partitions.keys()

    def lag(self) -> float:
        """Return for how many seconds the partition that is furthest behind has been behind."""
        return max((monotonic() - since for since in self._behind.values()), default=0.0)
