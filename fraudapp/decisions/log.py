"""The decision log: the decisions topic, and this worker's indexes of its partitions.

The log is the truth about what was decided; indexes and sinks are copies that follow it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import repeat
from math import inf
from pathlib import Path
from time import monotonic
from typing import Final, NamedTuple, TypeVar

from aiokafka.errors import KafkaError

from fraudapp.decisions.batch import Batch
from fraudapp.decisions.index import DecisionIndex, IndexDamaged
from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.decisions.log_records import LogRecord
from fraudapp.decisions.read_ahead import ReadAhead
from fraudapp.decisions.reader import LogReader
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.operation import PartitionReads
from fraudapp.process import open_files
from fraudapp.process.disk import DiskFull, DiskUnusable, discard
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

RECORDS_PER_TURN: Final = 20_000
"""Records of one partition that are read, at most, before another partition has its turn."""
DISK_TIMEOUT: Final = 3.0
"""Seconds that the disk of an index may take no write before it counts as full."""
DISK_RETRY: Final = 0.02
"""Seconds until a write that the disk did not take is tried again."""
FRESH: Final = 60.0
"""Seconds after an index was rebuilt in which further damage means that its disk is bad."""


class Unread(NamedTuple):
    """The rest of a partition of the log that an index has still to apply."""

    records: int
    seconds: float | None
    """How long that takes at the rate until now; None if the rate is not known yet."""


class Read(NamedTuple):
    """All decisions of a partition of the log from one offset up to the last of them."""

    partition: int
    start: int
    records: Sequence[LogRecord]
    """One at least."""

    @property
    def end(self) -> int:
        """The offset after the last of them."""
        return self.records[-1].offset + 1


class _CatchUp(NamedTuple):
    """A partition that is being read into its index: when that began, and at which next offset."""

    began: float
    next_offset: int
    end: int


class DecisionLog:
    """Appends decisions of the partitions that this worker owns, and keeps an index of each.

    A damaged index is rebuilt from the log, once; see `repair`. While the disk is full, an index
    with records to apply is not `ready`: it catches up as soon as there is room.
    """

    def __init__(
        self,
        settings: Settings,
        producer: BatchProducer,
        ended: Callable[[asyncio.Task[DecisionIndex]], None] = lambda task: None,
    ) -> None:
        """`ended` is called with each background task that has made an index `ready`, or failed."""
        self._partitions = settings.topic_partitions
        self._application = settings.app_id
        self._topic = settings.decisions_topic
        self._schema = settings.transaction_schema
        self._topic_id = ""
        self._folder: Path = settings.data_dir / "ledger"
        self._reader = LogReader(settings)
        self._producer = producer
        self._indexes: dict[int, DecisionIndex] = {}
        self._ready_in: dict[int, int] = {}  # generation in which a partition was caught up
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._task_ended = ended
        self._tasks: set[asyncio.Task[DecisionIndex]] = set()
        self._former_next_offsets: dict[int, int] = {}  # of damaged ones
        self._fresh_until: dict[int, float] = {}  # of rebuilt ones
        self._unusable: dict[int, DiskUnusable] = {}
        self._reads = PartitionReads(self._topic)
        self._catch_ups: dict[int, _CatchUp] = {}
        self._ahead = ReadAhead(settings)
        self.on_read: Callable[[Read], None] = lambda read: None
        """Called with what was read of the log into an index, at once."""

    async def open(self) -> None:
        """Connect; raises `KafkaError` or `DiskUnusable`."""
        if not self._folder.is_dir():
            discard(self._folder)
            self._folder.mkdir(parents=True)
        await self._reader.start()
        self._topic_id = (await self._producer.topic_ids([self._topic], wait=True))[self._topic]

    async def close(self) -> None:
        """Disconnect, and close the indexes."""
        for task in self._tasks:
            task.cancel()
        await self._reader.stop()
        for index in self._indexes.values():
            index.close()
        self._indexes.clear()

    def index(self, partition: int) -> DecisionIndex | None:
        """Return the index of a partition if it was caught up here; it may lag by now."""
        return self._indexes.get(partition) if partition in self._ready_in else None

    @property
    def next_offsets(self) -> dict[int, int]:
        """The next offset of each index that this worker has, or had before damage."""
        return (
            self._former_next_offsets
            | self._ahead.next_offsets
            | {partition: index.next_offset for partition, index in self._indexes.items()}
        )

    def unread(self, partition: int) -> Unread | None:
        """Return how much an index has still to read; None if it is not catching up."""
        catch_up, index = self._catch_ups.get(partition), self._indexes.get(partition)
        next_offset = index.next_offset if index else self._ahead.next_offsets.get(partition)
        if catch_up is None or next_offset is None:
            return None
        left = catch_up.end - next_offset
        done = next_offset - catch_up.next_offset
        passed = monotonic() - catch_up.began
        return Unread(left, passed / done * left if done > 0 else None)

    def decided(self, partition: int) -> int | None:
        """Return the next offset of an index that has caught up; None if there is none."""
        index = self.index(partition)
        return index.next_offset if index else None

    def reading(self, partition: int) -> int | None:
        """Return up to where an index that is catching up has read; None if it is not."""
        if partition not in self._catch_ups or partition not in self._indexes:
            return None
        return self._indexes[partition].next_offset

    def trouble(self, partition: int) -> str | None:
        """Return why a partition of the log cannot be read now; None if reading does not fail."""
        return self._reads[partition].trouble()

    def flush_if_idle(self) -> None:
        """Begin to flush the indexes to which nothing was applied since the last call.

        Those that have put off to merge files begin with it, once no others are read in bulk.
        """
        for index in list(self._indexes.values()):
            try:
                index.merge(at_once=not self._ahead.is_busy)
                index.flush_if_idle()
            except IndexDamaged as exc:
                self.repair(exc)
            except DiskFull as exc:
                log.warning("%s", exc)  # nothing is lost: the log has all of it

    def repair(self, exc: IndexDamaged | DiskFull) -> None:
        """Begin to rebuild a damaged index from the log, or to catch one up that met a full disk.

        Called by all who use an index, with the error that they met. They try again once it is
        `ready`. If it was rebuilt less than `FRESH` seconds ago, `ready` raises `DiskUnusable`.
        """
        if isinstance(exc, IndexDamaged):
            self._damaged(exc)
            return
        for partition in [p for p, each in self._indexes.items() if each.folder == exc.path]:
            self.recheck(partition)

    def _damaged(self, exc: IndexDamaged) -> None:
        partition = next((p for p, each in self._indexes.items() if each is exc.index), None)
        if partition is None:
            return  # another user of the index has reported it before
        del self._indexes[partition]
        generation = self._ready_in.pop(partition, None)
        self._former_next_offsets[partition] = max(
            exc.index.next_offset, self._former_next_offsets.get(partition, 0)
        )
        again = monotonic() < self._fresh_until.get(partition, 0.0)
        self._fresh_until[partition] = inf  # until it has caught up
        try:
            exc.index.throw_away()
        except DiskUnusable as unusable:
            self._unusable[partition] = unusable
        if again:
            self._unusable[partition] = DiskUnusable(
                f"{exc}, just after it was made anew: the disk at FRAUD_DATA_DIR is full or bad"
            )
        else:
            log.warning("%s: it is made anew from partition %d of the log", exc, partition)
        if generation is not None:  # else a call of `ready` goes on, and rebuilds it
            self._make_ready_soon(partition, generation)

    def recheck(self, partition: int) -> None:
        """Begin to catch an index up again, which checks whether its log is still the same."""
        generation = self._ready_in.pop(partition, None)
        if generation is not None:  # else it is catching up now
            self._make_ready_soon(partition, generation)

    def _make_ready_soon(self, partition: int, generation: int) -> None:
        task = asyncio.create_task(self.ready(partition, generation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(self._task_ended)

    async def ready(self, partition: int, generation: int) -> DecisionIndex:
        """Return the index of a partition, with all that other workers wrote before `generation`.

        `generation` is that of the consumer group: another worker may have written in each
        earlier one. Waits until the index has caught up, however long that takes.
        Raises `IndexInUse`, or `DiskUnusable`.
        """
        if self.is_ready(partition, generation):
            return self._indexes[partition]
        # One lock for each partition, so that one that cannot be read, or is long, delays no other.
        async with self._locks[partition]:
            try:
                while not self.is_ready(partition, generation):
                    try:
                        await self._catch_up_until_done(partition, generation)
                    except IndexDamaged as exc:
                        self.repair(exc)
                return self._indexes[partition]
            finally:
                self._catch_ups.pop(partition, None)

    def is_ready(self, partition: int, generation: int) -> bool:
        """Whether `ready` returns at once."""
        return self._ready_in.get(partition) == generation

    async def append(self, partition: int, batch: Batch, next_offset: int) -> bool:
        """Append decisions on ids that the index does not have, and apply them to it.

        `next_offset` is that of the index when the ids were looked up. Returns once the broker
        has all of them, however long that takes; some may then be in the log twice.

        Returns False if another writer got in between, or the index could not be written. Wait
        until it is `ready`, and look the ids up again: some, all or none may have been appended.

        At most one call at a time for each partition. Raises what `ready` raises.
        """
        index, start = self._indexes.get(partition), next_offset
        if index is None or index.next_offset != start:
            return False
        new: Iterator[NewRecord] = zip(batch.keys, batch.encoded, repeat([]), strict=False)
        offsets = await self._producer.append(
            self._topic, partition, new, "publishing decisions", divide=True
        )
        end = start + len(offsets)

        def extend() -> bool:
            # Meanwhile the index may have caught up, past records of another writer.
            if index.next_offset != start:
                return False
            index.extend(batch)
            return True

        try:
            if offsets == list(range(start, end)) and await _write_when_possible(extend):
                return True
        except IndexDamaged as exc:
            self.repair(exc)
        except DiskFull:
            pass  # `ready` reads below what was appended, once there is room
        # Another writer was first, or the log has lost its end: the index is not to be used now.
        generation = self._ready_in.pop(partition, None)
        if generation is not None:  # else a call of `ready` goes on
            await self.ready(partition, generation)
        return False

    async def _catch_up_until_done(self, partition: int, generation: int) -> None:
        async for attempt in retry_forever(self._reads[partition], on=(KafkaError, DiskFull)):
            with attempt:
                try:
                    index = await self._caught_up(partition)
                except DiskFull as exc:
                    if not exc.heals and (failed := self._indexes.pop(partition, None)):
                        failed.close()
                    raise
        if self._indexes.get(partition) is index:
            self._ready_in[partition] = generation
            if partition in self._fresh_until:
                self._fresh_until[partition] = monotonic() + FRESH

    def _open(self, partition: int) -> DecisionIndex:
        if partition in self._unusable:
            raise self._unusable[partition]
        index = self._indexes[partition] = DecisionIndex(
            self._folder / f"partition-{partition}",
            self._identity(partition),
            files=open_files.of_index(self._partitions),
            schema=self._schema,
            # Merging what a process has read would take the processors from the others.
            rests=self._ahead.is_busy,
        )
        if index.made_anew:
            self._fresh_until[partition] = inf
        return index

    def _identity(self, partition: int) -> LogIdentity:
        return LogIdentity(self._application, self._topic, partition, self._topic_id)

    async def _caught_up(self, partition: int) -> DecisionIndex:
        is_closed = partition not in self._indexes
        index = self._open(partition) if is_closed else self._indexes[partition]
        end = await self._end(partition, index)
        if is_closed and self._ahead.pays(end - index.next_offset):
            start = index.next_offset

            def begin() -> None:
                self._catch_ups[partition] = _CatchUp(monotonic(), start, end)

            begin()
            if self._indexes.pop(partition, None) is index:  # else it was damaged, and is gone
                index.close()
            identity = self._identity(partition)
            await self._ahead.read(index.folder, identity, start, end, begun=begin)
            index = self._open(partition)
            end = await self._end(partition, index)
        await self._read_until(partition, index, end)
        return index

    async def _end(self, partition: int, index: DecisionIndex) -> int:
        """Return where a partition ends, and clear an index that is not of this log."""
        end = await self._reader.end(partition)
        if not await self._reader.still_has(partition, index.known, index.fingerprint, end):
            log.warning(
                "partition %d of %s, which ends at %d, is not the log that was read up to %d: the "
                "broker has lost the end of it; the index is made anew from the log",
                *(partition, self._topic, end, index.next_offset),
            )
            self._ready_in.pop(partition, None)  # not to be used before all is read
            index.clear()
        elif end < index.next_offset:
            index.cut()
        if index.known < end:
            await self._warn_of_gap(partition, index)
        return end

    async def _warn_of_gap(self, partition: int, index: DecisionIndex) -> None:
        begin = await self._reader.begin(partition)
        if begin > index.known:
            log.critical(
                "partition %d of %s begins at %d, and what was before is known here up to %d: "
                "transactions are decided again if they were decided between and come again",
                *(partition, self._topic, begin, index.known),
            )

    async def _read_until(self, partition: int, index: DecisionIndex, end: int) -> None:
        missing = end - index.next_offset
        first = self._catch_ups.get(partition) or _CatchUp(monotonic(), index.next_offset, end)
        self._catch_ups[partition] = first._replace(end=end)
        await self._read_and_apply(partition, index, end)
        if missing > 0:
            log.info("read %d records of partition %d of the decision log", missing, partition)

    async def _read_and_apply(self, partition: int, index: DecisionIndex, end: int) -> None:
        start = index.known
        for turn in range(start, end, RECORDS_PER_TURN):
            until = min(turn + RECORDS_PER_TURN, end)
            # The reader reads one partition at a time; the others have their turn in between.
            async for records in self._reader.read(partition, turn, until):
                read = Read(partition, start, records)
                await _write_when_possible(partial(index.apply, records, read.end))
                self.on_read(read)
                start = read.end
        if index.next_offset < end:
            await _write_when_possible(partial(index.apply, [], end))


async def _write_when_possible(write: Callable[[], T]) -> T:
    """Write to an index, again until its disk takes it; raises `DiskFull` after `DISK_TIMEOUT`."""
    deadline = monotonic() + DISK_TIMEOUT
    while True:
        try:
            return write()
        except DiskFull:
            if monotonic() > deadline:
                raise
        await asyncio.sleep(DISK_RETRY)
