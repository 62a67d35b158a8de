"""Reads what an index lacks of the decision log into it, and tells how much that still is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from functools import partial
from time import monotonic
from typing import Final, NamedTuple, TypeVar

from fraudapp.decisions.index import DecisionIndex
from fraudapp.decisions.log_records import LogRecord
from fraudapp.decisions.reader import LogReader
from fraudapp.process.disk import DISK_RETRY, DISK_TIMEOUT, DiskFull

log = logging.getLogger(__name__)

T = TypeVar("T")

RECORDS_PER_TURN: Final = 20_000
"""Records of one partition that are read, at most, before another partition has its turn."""


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


class CatchUps:
    """The partitions that are being read into their indexes, here or in a process."""

    def __init__(self, reader: LogReader, tell: Callable[[Read], None]) -> None:
        """`tell` is called with what was read here, once the index has it."""
        self._reader = reader
        self._tell = tell
        self._catch_ups: dict[int, _CatchUp] = {}

    def __contains__(self, partition: int) -> bool:
        """Whether a partition is being read."""
        return partition in self._catch_ups

    def begin(self, partition: int, next_offset: int, end: int) -> None:
        """Note that a partition is read from now on, by whomever."""
        self._catch_ups[partition] = _CatchUp(monotonic(), next_offset, end)

    def over(self, partition: int) -> None:
        """Note that a partition is not read any more."""
        self._catch_ups.pop(partition, None)

    def unread(self, partition: int, next_offset: int) -> Unread | None:
        """Return what is left for an index that is at this offset; None if it is not read."""
        if (catch_up := self._catch_ups.get(partition)) is None:
            return None
        left = catch_up.end - next_offset
        done = next_offset - catch_up.next_offset
        passed = monotonic() - catch_up.began
        return Unread(left, passed / done * left if done > 0 else None)

    async def read(self, partition: int, index: DecisionIndex, end: int) -> None:
        """Read a partition up to an offset into its index, in turns with other partitions.

        Raises `KafkaError`, `IndexDamaged` or `DiskFull`; what was read until then is applied.
        """
        missing = end - index.next_offset
        if partition not in self:
            self.begin(partition, index.next_offset, end)
        self._catch_ups[partition] = self._catch_ups[partition]._replace(end=end)
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
                await write_when_possible(partial(index.apply, records, read.end))
                self._tell(read)
                start = read.end
        if index.next_offset < end:
            await write_when_possible(partial(index.apply, [], end))


async def write_when_possible(write: Callable[[], T]) -> T:
    """Write to an index, again until its disk takes it; raises `DiskFull` after `DISK_TIMEOUT`."""
    deadline = monotonic() + DISK_TIMEOUT
    while True:
        try:
            return write()
        except DiskFull:
            if monotonic() > deadline:
                raise
        await asyncio.sleep(DISK_RETRY)
