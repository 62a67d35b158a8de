"""The decision log: the decisions topic, and this worker's indexes of its partitions.

The log is the truth about what was decided; indexes and sinks are copies that follow it.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from itertools import repeat

from aiokafka.errors import KafkaError

from fraudapp.decisions.batch import Batch
from fraudapp.decisions.catch_ups import CatchUps, Read, Unread, write_when_possible
from fraudapp.decisions.index import DecisionIndex, IndexDamaged
from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.decisions.open_indexes import OpenIndexes
from fraudapp.decisions.read_ahead import ReadAhead
from fraudapp.decisions.reader import LogReader
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.operation import PartitionReads
from fraudapp.process.disk import DiskFull
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings

log = logging.getLogger(__name__)


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
        self._application = settings.app_id
        self._topic = settings.decisions_topic
        self._topic_id = ""
        self._reader = LogReader(settings)
        self._producer = producer
        self._indexes = OpenIndexes(settings)
        self._ready_in: dict[int, int] = {}  # generation in which a partition was caught up
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._task_ended = ended
        self._tasks: set[asyncio.Task[DecisionIndex]] = set()
        self._reads = PartitionReads(self._topic)
        self._catch_ups = CatchUps(self._reader, lambda read: self.on_read(read))
        self._ahead = ReadAhead(settings)
        self.on_read: Callable[[Read], None] = lambda read: None
        """Called with what was read of the log into an index, at once."""

    async def open(self) -> None:
        """Connect; raises `KafkaError` or `DiskUnusable`."""
        self._indexes.make_folder()
        await self._reader.start()
        self._topic_id = (await self._producer.topic_ids([self._topic], wait=True))[self._topic]

    async def close(self) -> None:
        """Disconnect, and close the indexes."""
        for task in self._tasks:
            task.cancel()
        await self._reader.stop()
        self._indexes.close_all()

    def index(self, partition: int) -> DecisionIndex | None:
        """Return the index of a partition if it was caught up here; it may lag by now."""
        return self._indexes.get(partition) if partition in self._ready_in else None

    @property
    def next_offsets(self) -> dict[int, int]:
        """The next offset of each index that this worker has, or had before damage."""
        return (
            self._indexes.former_next_offsets
            | self._ahead.next_offsets
            | self._indexes.next_offsets
        )

    def unread(self, partition: int) -> Unread | None:
        """Return how much an index has still to read; None if it is not catching up."""
        index = self._indexes.get(partition)
        next_offset = index.next_offset if index else self._ahead.next_offsets.get(partition)
        return None if next_offset is None else self._catch_ups.unread(partition, next_offset)

    def decided(self, partition: int) -> int | None:
        """Return the next offset of an index that has caught up; None if there is none."""
        index = self.index(partition)
        return index.next_offset if index else None

    def reading(self, partition: int) -> int | None:
        """Return up to where an index that is catching up has read; None if it is not."""
        index = self._indexes.get(partition) if partition in self._catch_ups else None
        return index.next_offset if index else None

    def trouble(self, partition: int) -> str | None:
        """Return why a partition of the log cannot be read now; None if reading does not fail."""
        return self._reads[partition].trouble()

    def flush_if_idle(self) -> None:
        """Begin to flush the indexes to which nothing was applied since the last call.

        Those that have put off to merge files begin with it, once no others are read in bulk.
        """
        for index in self._indexes:
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
        for partition in self._indexes.met(exc):
            self.recheck(partition)

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
        Raises `FolderInUse`, or `DiskUnusable`.
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
                self._catch_ups.over(partition)

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
            if offsets == list(range(start, end)) and await write_when_possible(extend):
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
                    if not exc.heals:
                        self._indexes.close(partition)
                    raise
        if self._indexes.get(partition) is index:
            self._ready_in[partition] = generation
            self._indexes.caught_up(partition)

    def _open(self, partition: int) -> DecisionIndex:
        # Merging what a process has read would take the processors from the others.
        return self._indexes.open(self._identity(partition), rests=self._ahead.is_busy)

    def _identity(self, partition: int) -> LogIdentity:
        return LogIdentity(self._application, self._topic, partition, self._topic_id)

    async def _caught_up(self, partition: int) -> DecisionIndex:
        is_open = self._indexes.get(partition) is not None
        index = self._indexes[partition] if is_open else self._open(partition)
        end = await self._end(partition, index)
        if not is_open and self._ahead.pays(end - index.next_offset):
            begin = partial(self._catch_ups.begin, partition, index.next_offset, end)
            begin()
            self._indexes.close(partition)
            await self._ahead.read(
                *(index.folder, self._identity(partition), index.next_offset, end), begun=begin
            )
            index = self._open(partition)
            end = await self._end(partition, index)
        await self._catch_ups.read(partition, index, end)
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
