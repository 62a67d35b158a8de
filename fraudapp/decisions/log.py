"""The topic of decisions: the one truth about what was decided, which all else follows."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator
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
from fraudapp.decisions.reader import LogReader
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.operation import PartitionReads
from fraudapp.process import open_files
from fraudapp.process.disk import DiskFull, DiskUnusable, discard
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings

log = logging.getLogger(__name__)

T = TypeVar("T")

STRETCH: Final = 20_000
"""Records of one partition that are read before another one has its turn, at most."""
BEHIND: Final = 3.0
"""Seconds that a disk may be behind what is written to it, before it is taken for full."""
PAUSE: Final = 0.02
"""Seconds until a disk that is behind is tried again."""
SOON: Final = 60.0
"""Seconds after an index was made anew in which further damage means that its disk is bad."""


class Unread(NamedTuple):
    """What is left to be read of a partition of the log."""

    records: int
    seconds: float | None
    """For which it will take at the pace until now; None if that is not known yet."""


class _Reading(NamedTuple):
    """A partition being read in: since when, and from which next offset."""

    began: float
    next_offset: int
    end: int


class DecisionLog:
    """Appends decisions of the partitions this worker owns, and keeps an index of each.

    One that is damaged is made anew from the log, once; see `failed`. While its disk is full, none
    is `ready` that there is something to write to: it is read in as soon as there is room.
    """

    def __init__(
        self,
        settings: Settings,
        producer: BatchProducer,
        ended: Callable[[asyncio.Task[DecisionIndex]], None] = lambda task: None,
    ) -> None:
        """`ended` is called with each task that has made an index anew, or has failed to."""
        self._partitions = settings.topic_partitions
        self._application = settings.app_id
        self._topic = settings.decisions_topic
        self._topic_id = ""
        self._folder: Path = settings.data_dir / "ledger"
        self._reader = LogReader(settings)
        self._producer = producer
        self._indexes: dict[int, DecisionIndex] = {}
        self._read_in: dict[int, int] = {}
        self._turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._ended = ended
        self._remaking: set[asyncio.Task[DecisionIndex]] = set()
        self._left: dict[int, int] = {}  # next offsets of indexes that were let go of
        self._fresh_until: dict[int, float] = {}  # of those made anew
        self._unusable: dict[int, DiskUnusable] = {}
        self._readings = PartitionReads(self._topic)
        self._reading: dict[int, _Reading] = {}

    async def open(self) -> None:
        """Connect; raises `KafkaError` or `DiskUnusable`."""
        if not self._folder.is_dir():
            discard(self._folder)
            self._folder.mkdir(parents=True)
        await self._reader.start()
        self._topic_id = (await self._producer.topic_ids([self._topic], wait=True))[self._topic]

    async def close(self) -> None:
        """Disconnect, and close the indexes."""
        for task in self._remaking:
            task.cancel()
        await self._reader.stop()
        for index in self._indexes.values():
            index.close()
        self._indexes.clear()

    def index(self, number: int) -> DecisionIndex | None:
        """Return the index of a partition, if it was read in here; it may be behind."""
        return self._indexes.get(number) if number in self._read_in else None

    @property
    def next_offsets(self) -> dict[int, int]:
        """Offset up to which each partition that was opened here is known, or once was."""
        return self._left | {number: index.next_offset for number, index in self._indexes.items()}

    def unread(self, number: int) -> Unread | None:
        """How much of a partition is left to be read in; None if that is not being done."""
        reading, index = self._reading.get(number), self._indexes.get(number)
        if reading is None or index is None:
            return None
        left, done = reading.end - index.next_offset, index.next_offset - reading.next_offset
        passed = monotonic() - reading.began
        return Unread(left, passed / done * left if done > 0 else None)

    def trouble(self, number: int) -> str | None:
        """Why a partition of the log cannot be read now; None if nothing is known of that."""
        return self._readings[number].trouble()

    def flush_if_idle(self) -> None:
        """Begin to write the indexes to disk to which nothing came since the last call."""
        for index in list(self._indexes.values()):
            try:
                index.flush_if_idle()
            except IndexDamaged as exc:
                self.failed(exc)
            except DiskFull as exc:
                log.warning("%s", exc)  # all of it is in the log

    def failed(self, exc: IndexDamaged | DiskFull) -> None:
        """See to an index that could not be used: make it anew from the log if it is damaged.

        To be called by whoever finds out; what it was needed for can be done once it is `ready`
        again. If it was made anew only just before, that raises `DiskUnusable` instead.
        """
        if isinstance(exc, IndexDamaged):
            self._damaged(exc)
            return
        for number in [n for n, each in self._indexes.items() if each.folder == exc.path]:
            self.doubted(number)

    def _damaged(self, exc: IndexDamaged) -> None:
        number = next((n for n, each in self._indexes.items() if each is exc.index), None)
        if number is None:
            return  # somebody else has found out before
        del self._indexes[number]
        generation = self._read_in.pop(number, None)
        self._left[number] = max(exc.index.next_offset, self._left.get(number, 0))
        again = monotonic() < self._fresh_until.get(number, 0.0)
        self._fresh_until[number] = inf  # until it is read in
        try:
            exc.index.throw_away()
        except DiskUnusable as unusable:
            self._unusable[number] = unusable
        if again:
            self._unusable[number] = DiskUnusable(
                f"{exc}, just after it was made anew: the disk at FRAUD_DATA_DIR is full or bad"
            )
        else:
            log.warning("%s: it is made anew from partition %d of the log", exc, number)
        if generation is not None:  # else somebody waits for it in `ready`
            self._begin(number, generation)

    def doubted(self, number: int) -> None:
        """Begin to read a partition in again, to find out whether its log is still the same."""
        generation = self._read_in.pop(number, None)
        if generation is not None:  # else that is being done
            self._begin(number, generation)

    def _begin(self, number: int, generation: int) -> None:
        task = asyncio.create_task(self.ready(number, generation))
        self._remaking.add(task)
        task.add_done_callback(self._remaking.discard)
        task.add_done_callback(self._ended)

    async def ready(self, number: int, generation: int) -> DecisionIndex:
        """Return the index of a partition, with all that others wrote before this generation.

        `generation` is that of the consumer group: with each, somebody else may have written.
        Raises `IndexInUse`, or `DiskUnusable`.
        """
        if self.is_ready(number, generation):
            return self._indexes[number]
        # One that cannot be read now, or is long, holds up no other.
        async with self._turns[number]:
            try:
                while not self.is_ready(number, generation):
                    try:
                        await self._read_in_whole(number, generation)
                    except IndexDamaged as exc:
                        self.failed(exc)
                return self._indexes[number]
            finally:
                self._reading.pop(number, None)

    def is_ready(self, number: int, generation: int) -> bool:
        """Whether `ready` returns at once."""
        return self._read_in.get(number) == generation

    async def append(self, number: int, batch: Batch, next_offset: int) -> bool:
        """Append decisions on ids that the index did not have, and take them into it.

        `next_offset` is where the index was when the ids were looked up. Returns once the broker
        has all of them, however long that takes; some may then be in the log twice.

        Returns False if another writer got in between. The index is then up to date; look the ids
        up again. Nothing may have been appended. At most one call at a time for each partition.
        Raises what `ready` does.
        """
        index, start = self._indexes.get(number), next_offset
        if index is None or index.next_offset != start:
            return False
        new: Iterator[NewRecord] = zip(batch.keys, batch.encoded, repeat([]), strict=False)
        offsets = await self._producer.append(
            self._topic, number, new, "publishing decisions", divide=True
        )
        end = start + len(offsets)

        def extend() -> bool:
            # The index may have been brought up to date meanwhile, past what others have written.
            if index.next_offset != start:
                return False
            index.extend(batch)
            return True

        try:
            if offsets == list(range(start, end)) and await _as_soon_as_it_can(extend):
                return True
        except IndexDamaged as exc:
            self.failed(exc)
        except DiskFull:
            pass  # what was appended is read in below, once there is room
        # Others have written before, or the log has lost its end: nobody may ask the index now.
        generation = self._read_in.pop(number, None)
        if generation is not None:  # else that is being found out
            await self.ready(number, generation)
        return False

    async def _read_in_whole(self, number: int, generation: int) -> None:
        async for attempt in retry_forever(self._readings[number], on=(KafkaError, DiskFull)):
            with attempt:
                index = self._indexes.get(number) or self._open(number)
                try:
                    await self._read_all(number, index)
                except DiskFull as exc:
                    if not exc.heals:
                        self._indexes.pop(number).close()
                    raise
        if self._indexes.get(number) is index:
            self._read_in[number] = generation
            if number in self._fresh_until:
                self._fresh_until[number] = monotonic() + SOON

    def _open(self, number: int) -> DecisionIndex:
        if number in self._unusable:
            raise self._unusable[number]
        identity = LogIdentity(self._application, self._topic, number, self._topic_id)
        index = self._indexes[number] = DecisionIndex(
            self._folder / f"partition-{number}",
            identity,
            files=open_files.of_index(self._partitions),
        )
        if index.made_anew:
            self._fresh_until[number] = inf
        return index

    async def _read_all(self, number: int, index: DecisionIndex) -> None:
        end = await self._reader.end(number)
        if not await self._is_of_this_log(number, index, end):
            log.warning(
                "partition %d of %s, which ends at %d, is not the log that was read up to %d: the "
                "broker has lost the end of it; the index is made anew from the log",
                *(number, self._topic, end, index.next_offset),
            )
            self._read_in.pop(number, None)  # nobody may ask it before all is read
            index.clear()
        elif end < index.next_offset:
            index.cut()
        if index.known < end:
            await self._tell_what_is_gone(number, index)
        await self._catch_up(number, index, end)

    async def _tell_what_is_gone(self, number: int, index: DecisionIndex) -> None:
        begin = await self._reader.begin(number)
        if begin > index.known:
            log.critical(
                "partition %d of %s begins at %d, and what was before is known here up to %d: "
                "transactions are decided again if they were decided between and come again",
                *(number, self._topic, begin, index.known),
            )

    async def _is_of_this_log(self, number: int, index: DecisionIndex, end: int) -> bool:
        """Whether the log still has what the index has, as far as one can tell."""
        fingerprint = index.fingerprint
        if fingerprint is None:
            return index.known <= end
        if fingerprint.offset >= end:
            return False
        found = await self._reader.record_at(number, fingerprint.offset)
        if found:
            return found.fingerprint == fingerprint
        # A log that has lost its beginning does not tell; what is in the index was decided.
        return fingerprint.offset < await self._reader.begin(number)

    async def _catch_up(self, number: int, index: DecisionIndex, end: int) -> None:
        missing = end - index.next_offset
        began = self._reading.get(number) or _Reading(monotonic(), index.next_offset, end)
        self._reading[number] = began._replace(end=end)
        await self._read(number, index, end)
        if missing > 0:
            log.info("read %d records of partition %d of the decision log", missing, number)

    async def _read(self, number: int, index: DecisionIndex, end: int) -> None:
        for start in range(index.known, end, STRETCH):
            # The reader serves one at a time: the others have their turn between two stretches.
            async for records in self._reader.read(number, start, min(start + STRETCH, end)):
                apply = partial(index.apply, records, records[-1].offset + 1)
                await _as_soon_as_it_can(apply)
        if index.next_offset < end:
            await _as_soon_as_it_can(partial(index.apply, [], end))


async def _as_soon_as_it_can(write: Callable[[], T]) -> T:
    """Write to an index, once its disk is not behind any more. Raises `DiskFull`."""
    full_at = monotonic() + BEHIND
    while True:
        try:
            return write()
        except DiskFull:
            if monotonic() > full_at:
                raise
        await asyncio.sleep(PAUSE)
