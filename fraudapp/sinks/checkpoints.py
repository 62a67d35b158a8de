"""How far one sink has come, found when its partitions are taken over and noted as it goes on."""

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
"""Seconds between two notes in the topic of progress, while a sink goes on."""
NOTE_TIMEOUT: Final = 2.0
"""Seconds that a note may take: only what is saved again after a restart depends on it."""
MAX_RECORDS_READ: Final = 1_000
"""Records before an offset among which a decision is looked for, by which to know the log again."""


class Written(NamedTuple):
    """How far a sink has a partition."""

    offset: int
    """Of the first record that it does not have yet."""
    fingerprint: Fingerprint | None
    """The last decision before it; None if there is none, or none was found."""


class Checkpoints:
    """Notes of one sink: in the topic of progress, and for tools in a group of its own.

    The topic counts, unless somebody has set the group back; or the group, where the topic has
    nothing yet.
    """

    def __init__(
        self, sink: str, decisions: DecisionLog, reader: LogReader, progress: Progress
    ) -> None:
        """`reader` is of the sink's group."""
        self._store = sink
        self._decisions = decisions
        self._reader = reader
        self._progress = progress
        self._committed: dict[int, int] = {}
        self._noting = Operation(f"noting how far {sink} has come", needs="WRITE")

    async def load(self, numbers: Sequence[int]) -> dict[int, Written]:
        """Assign partitions to the reader, and return how far the sink has them.

        Raises `KafkaError`. Their indexes have been read to the end of the log.
        """
        await self._progress.current()
        committed = await self._reader.committed(numbers)
        found = {number: await self._found(number, offset) for number, offset in committed.items()}
        self._committed = {number: offset or 0 for number, offset in committed.items()}
        return found

    def checked(self, number: int, written: Written) -> Written:
        """Return how far a sink has a partition of the log as it is now; says if that is less.

        A broker that was restored, or has elected an unclean leader, has another log than the one
        that was saved: all of it is saved again, which is harmless.
        """
        index = self._decisions.index(number)
        if index is None:
            return written  # it is being made anew
        offset, fingerprint = written
        try:
            if offset <= index.next_offset and (fingerprint is None or index.holds(fingerprint)):
                return written
            if fingerprint is not None and index.holds(fingerprint):
                return Written(
                    fingerprint.offset + 1, fingerprint
                )  # what came after it was no decision
        except INDEX_FAILED as exc:
            self._decisions.failed(exc)
            return written
        log.warning(
            "%s has partition %d of the log up to %d, and the log, which ends at %d, is not the "
            "one it was: all of it is saved again",
            *(self._store, number, offset, index.next_offset),
        )
        return Written(0, None)

    async def save(self, written: Mapping[int, Written], *, note: bool) -> None:
        """Commit how far the sink has come, and note it in the topic too if that is wanted.

        What cannot be written now is told, and written another time.
        """
        moved = {
            number: each.offset
            for number, each in written.items()
            if each.offset != self._committed.get(number)
        }
        self._noting.began()
        try:
            if moved:
                await self._reader.commit(moved)
                self._committed.update(moved)
            if note:
                await asyncio.wait_for(self._note(written), NOTE_TIMEOUT)
        except (KafkaError, asyncio.TimeoutError) as exc:
            self._noting.failed(exc)
        else:
            self._noting.succeeded()

    async def _note(self, written: Mapping[int, Written]) -> None:
        news = {
            number: fingerprint
            for number, (offset, fingerprint) in written.items()
            if (fingerprint is not None or offset == 0)
            and fingerprint != self._progress.reached(self._store, number)
        }
        if news:
            await self._progress.note(self._store, news)

    async def _found(self, number: int, committed: int | None) -> Written:
        reached = self._progress.reached(self._store, number)
        if reached is not None:
            written = self.checked(number, Written(reached.offset + 1, reached))
            if committed is None or committed >= written.offset:
                return written
        written = self.checked(number, Written(committed or 0, None))
        return Written(written.offset, await self._fingerprint_before(number, written.offset))

    async def _fingerprint_before(self, number: int, offset: int) -> Fingerprint | None:
        index = self._decisions.index(number)
        start = max(0, offset - MAX_RECORDS_READ)
        stretch = self._reader.read(number, start, offset)
        fingerprints = [each.fingerprint async for records in stretch for each in records]
        try:
            held = (each for each in reversed(fingerprints) if index and index.holds(each))
            return next(held, None)
        except INDEX_FAILED as exc:
            self._decisions.failed(exc)
            return None
