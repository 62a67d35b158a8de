"""Checkpoints of one sink: loaded when its partitions are assigned, saved as it goes on.

A checkpoint is kept twice: as a note in the topic of progress, which does not expire, and as a
committed offset of the sink's consumer group, which tools can show and set back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from aiokafka.errors import KafkaError

from fraudapp.decisions.fingerprints import Fingerprint
from fraudapp.decisions.index import INDEX_FAILED
from fraudapp.decisions.log import DecisionLog
from fraudapp.decisions.reader import LogReader
from fraudapp.operation import Operation
from fraudapp.sinks.progress import Progress

log = logging.getLogger(__name__)

NOTE_INTERVAL: Final = 10.0
"""Seconds between two notes in the topic of progress, while a sink writes."""
NOTE_TIMEOUT: Final = 2.0
"""Seconds that a note may take: without one, only more is saved again after a restart."""
MAX_RECORDS_READ: Final = 1_000
"""Records before a committed offset that are searched for a decision, to take its fingerprint."""


class Written(NamedTuple):
    """The written offset of a sink in one partition of the log."""

    offset: int
    """Offset of the first record that the sink does not have yet."""
    fingerprint: Fingerprint | None
    """The last decision before that offset; None if there is none, or none was found."""


class Checkpoints:
    """The checkpoints of one sink, by partition.

    The note in the topic of progress counts. The committed offset of the group counts where it is
    lower, because somebody has set the group back, and where the topic has no note yet.
    """

    def __init__(
        self, sink: str, decisions: DecisionLog, reader: LogReader, progress: Progress
    ) -> None:
        """`reader` commits to the consumer group of the sink."""
        self._sink = sink
        self._decisions = decisions
        self._reader = reader
        self._progress = progress
        self._committed: dict[int, int] = {}
        self._saving = Operation(f"noting how far {sink} has come", needs="WRITE")

    async def load(self, partitions: Sequence[int]) -> dict[int, Written]:
        """Assign partitions to the reader, and return the written offset of each.

        Called once their decision indexes have been read to the end of the log. Raises
        `KafkaError`.
        """
        await self._progress.current()
        committed = await self._reader.committed(partitions)
        found = {
            partition: await self._load(partition, offset)
            for partition, offset in committed.items()
        }
        self._committed = {partition: offset or 0 for partition, offset in committed.items()}
        return found

    def checked(self, partition: int, written: Written) -> Written:
        """Return the written offset in the log as it is now, and log a warning if it is lower.

        A broker that was restored, or has elected an unclean leader, has another log than the one
        that was saved. All of that log is saved again then, which is harmless.
        """
        index = self._decisions.index(partition)
        if index is None:
            return written  # the index is being made anew, and cannot be asked
        offset, fingerprint = written
        try:
            if offset <= index.next_offset and (fingerprint is None or index.holds(fingerprint)):
                return written
            if fingerprint is not None and index.holds(fingerprint):
                # The records after it, which the log has lost, were no decisions.
                return Written(fingerprint.offset + 1, fingerprint)
        except INDEX_FAILED as exc:
            self._decisions.repair(exc)
            return written
        log.warning(
            "%s has partition %d of the log up to %d, but the log, which ends at %d, has changed "
            "since: all of it is saved again",
            *(self._sink, partition, offset, index.next_offset),
        )
        return Written(0, None)

    async def save(self, written: Mapping[int, Written], *, note: bool) -> None:
        """Commit the written offsets that have changed; with `note`, write them to the topic too.

        Raises nothing for a broker that fails: that is logged, and the next call tries again.
        """
        moved = {
            partition: each.offset
            for partition, each in written.items()
            if each.offset != self._committed.get(partition)
        }
        self._saving.began()
        try:
            if moved:
                await self._reader.commit(moved)
                self._committed.update(moved)
            if note:
                await asyncio.wait_for(self._note(written), NOTE_TIMEOUT)
        except (KafkaError, asyncio.TimeoutError) as exc:
            self._saving.failed(exc)
        else:
            self._saving.succeeded()

    async def _note(self, written: Mapping[int, Written]) -> None:
        changed = {
            partition: fingerprint
            for partition, (offset, fingerprint) in written.items()
            if (fingerprint is not None or offset == 0)
            and fingerprint != self._progress.reached(self._sink, partition)
        }
        if changed:
            await self._progress.note(self._sink, changed)

    async def _load(self, partition: int, committed: int | None) -> Written:
        noted = self._progress.reached(self._sink, partition)
        if noted is not None:
            written = self.checked(partition, Written(noted.offset + 1, noted))
            if committed is None or committed >= written.offset:
                return written
        written = self.checked(partition, Written(committed or 0, None))
        return Written(written.offset, await self._fingerprint_before(partition, written.offset))

    async def _fingerprint_before(self, partition: int, offset: int) -> Fingerprint | None:
        index = self._decisions.index(partition)
        start = max(0, offset - MAX_RECORDS_READ)
        read = self._reader.read(partition, start, offset)
        fingerprints = [each.fingerprint async for records in read for each in records]
        try:
            held = (each for each in reversed(fingerprints) if index and index.holds(each))
            return next(held, None)
        except INDEX_FAILED as exc:
            self._decisions.repair(exc)
            return None
