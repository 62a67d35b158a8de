"""What brings decisions from the log into one sink, and how far it has come."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from time import monotonic
from typing import Final

from aiokafka.errors import KafkaError
from mode import Service
from mode.utils.locks import Event

from fraudapp.decisions.batch import Batch
from fraudapp.decisions.fingerprints import stamp_of
from fraudapp.decisions.index import INDEX_FAILED
from fraudapp.decisions.log import DecisionLog
from fraudapp.decisions.reader import LogCut, LogReader
from fraudapp.metrics import store_call
from fraudapp.operation import Effort, Readings, troubles
from fraudapp.retry import patiently
from fraudapp.settings import Settings
from fraudapp.sinks.base import DecisionRejected, DecisionSink, SinkUnavailable
from fraudapp.sinks.checkpoints import PACE, Checkpoints, Kept
from fraudapp.sinks.progress import Progress
from fraudapp.sinks.progress_records import unpurged
from fraudapp.sinks.write_buffer import Handed, HandedQueue
from models.records import Decision

log = logging.getLogger(__name__)

PATIENCE: Final = 0.25
"""Seconds that decisions wait for a sink to make room, before it is left behind."""
QUIET: Final = 0.2
"""Seconds without a new decision, after which those at hand need not wait for more."""
AT_A_TIME: Final = 2
"""Batches on their way to the sink: one is made ready while the sink is busy with another."""
STRETCH: Final = 4_000
"""Records of the log read at once for a sink that is behind, at most."""
RETRY: Final = 1.0
"""Seconds until a partition of the log that could not be read is tried again."""
COMMIT_INTERVAL: Final = 1.0
"""Seconds between two commits of how far a sink has come."""

Refused = Callable[[str, Decision, DecisionRejected], Awaitable[None]]


class SinkWriter(Service):
    """Saves what the log holds of this worker's partitions, at the pace of one sink.

    The agent hands it each batch as it is decided, and waits a moment for `room` while the sink
    keeps up. One that does not keep up, or is down, is left behind: nobody waits for it, and what
    does not fit into the queue is let go of, to be read from the log until it has caught up. How
    far it has come is noted (`Checkpoints`): whoever owns a partition next goes on from there.
    Saving twice is harmless, so no more is needed. What was purged is not saved again.
    """

    def __init__(
        self,
        settings: Settings,
        sink: DecisionSink,
        decisions: DecisionLog,
        progress: Progress,
        refused: Refused,
    ) -> None:
        """`refused` is called with the sink's name and what it will never take."""
        self.sink = sink
        self.failure: str | None = None
        """Why the sink takes nothing now; None if it does."""
        self.taking_over = Effort(
            f"asking how far {sink.name} has come with {settings.decisions_topic}"
        )
        self._saving = Effort(f"saving to {sink.name}, for which decisions wait in the log")
        self._readings = Readings(settings.decisions_topic, f" for {sink.name}")
        self._decisions = decisions
        self._refused = refused
        self._progress = progress
        self._reader = LogReader(settings, group=f"{settings.app_id}-{sink.name}")
        self._checkpoints = Checkpoints(sink.name, decisions, self._reader, progress)
        self._noted = monotonic()
        self._kept: dict[int, Kept] = {}  # how far the sink has a partition
        self._handed: dict[int, int] = {}  # the same, with all that is queued
        self._set_back: set[int] = set()  # of what is queued of these, nothing counts
        self._queue = HandedQueue()
        self._keeping: asyncio.Future[None] | None = None
        self._tried = asyncio.Event()
        self._work = Event()
        self._full = Event()
        super().__init__()

    @property
    def behind(self) -> int:
        """How many decisions of this worker's partitions the sink does not have yet."""
        places = [(kept.offset, self._end(number)) for number, kept in self._kept.items()]
        # A log that was cut may end before what the sink has of another one: none of it counts.
        return sum(end - kept if kept <= end else end for kept, end in places)

    def troubles(self) -> list[str]:
        """What cannot be read in Kafka, and why; a sink that is down is none of these."""
        return troubles([self.taking_over, *self._readings.values()])

    def kept(self, number: int) -> int | None:
        """Offset in the log up to which the sink has a partition of this worker, once known."""
        kept = self._kept.get(number)
        return kept.offset if kept else None

    async def room(self, batch: Batch) -> None:
        """Wait a moment until it fits in; not for a sink that is down, or behind."""
        if self.failure is None and not self._late():
            await self._queue.room(batch, PATIENCE)

    def hand(self, number: int, start: int, end: int, batch: Batch) -> None:
        """Take decisions that were just appended to the log, from offset `start` up to `end`."""
        follows = self._handed.get(number) == start and number not in self._set_back
        if follows and self._queue.offer(Handed(number, end, batch)):
            self._handed[number] = end
        self.wake()

    def wake(self) -> None:
        """Look whether the log has something for the sink."""
        self._work.set()
        if len(self._queue) >= self.sink.at_once or self._late():
            self._full.set()

    async def assign(self, numbers: Iterable[int]) -> None:
        """Care for these partitions from now on, and for no others. Raises `KafkaError`.

        Their indexes have been read to the end of the log.
        """
        await self._save_checkpoints(note=True)
        self._queue.clear()
        self._readings.clear()
        self._kept, self._handed = {}, {}
        self._kept = await self._checkpoints.load(list(numbers))
        self._handed = {number: kept.offset for number, kept in self._kept.items()}
        self.wake()

    async def tried(self) -> None:
        """Return once the sink is open, or is found to be down."""
        await self._tried.wait()

    async def on_start(self) -> None:
        """Connect to the broker; the sink may be down."""
        await self._reader.start()
        self._keeping = self.add_future(self._keep())

    async def on_stop(self) -> None:
        """Leave how far this has come to whoever comes next."""
        if self._keeping:  # on a failed start there may be none
            self._keeping.cancel()
            await asyncio.wait([self._keeping])  # or it would find the sink closed below it
        await self._save_checkpoints(note=True)
        await self._reader.stop()
        await self.sink.close()

    async def _keep(self) -> None:
        await self._until_it_does(self.sink.open)
        self._tried.set()
        while not self.should_stop:
            await self._work.wait()
            self._work.clear()
            await self._gather()
            await self._save_queued()
            self._set_back.clear()
            for number in self._late():
                await self._read(number)
            if any(each.reason for each in self._readings.values()):
                await self.sleep(RETRY)
            if len(self._queue) or self._late():
                self._work.set()

    async def _save_queued(self) -> None:
        """Save what is queued until too little is, some at a time and noted in their order."""
        saving: deque[tuple[Sequence[Handed], asyncio.Task[None]]] = deque()
        enough = 1  # what has been gathered is taken as it is
        try:
            while saving or len(self._queue) >= enough:
                while len(saving) < AT_A_TIME and len(self._queue) >= enough:
                    taken = self._queue.take(self.sink.at_once)
                    saving.append((taken, asyncio.create_task(self._save(taken))))
                    enough = self.sink.at_once if self.sink.gather else 1
                await saving[0][1]
                self._saved(saving.popleft()[0])
        finally:
            for _, task in saving:
                task.cancel()

    def _saved(self, taken: Sequence[Handed]) -> None:
        for number, end, batch in taken:
            if number in self._kept and number not in self._set_back:
                if end > self._kept[number].offset:
                    last = batch.decisions[-1].transaction_id
                    self._kept[number] = Kept(end, stamp_of(end - 1, last, batch.encoded[-1]))
                # Assigned anew while it was being saved, it was set back to what is committed.
                self._handed[number] = max(self._handed[number], self._kept[number].offset)

    async def _gather(self) -> None:
        """Let decisions come together while they come, where the sink wants many at once."""
        self._full.clear()
        began, before = monotonic(), -1
        while (
            before < len(self._queue) < self.sink.at_once
            and monotonic() - began < self.sink.gather
            and not (self.should_stop or self._late())
        ):
            before = len(self._queue)
            await self.wait_for_stopped(self._full, timeout=min(QUIET, self.sink.gather))

    def _late(self) -> list[int]:
        """Partitions with decisions that are not in the queue and have to be read from the log."""
        return [number for number, handed in self._handed.items() if handed < self._end(number)]

    def _end(self, number: int) -> int:
        index = self._decisions.index(number)
        return index.cursor if index else 0

    async def _read(self, number: int) -> None:
        index, kept = self._decisions.index(number), self._kept.get(number)
        if index is None or kept is None:
            return
        start, stamp = kept
        if self._handed[number] != start:
            return  # what is queued of this partition comes first
        end = min(index.cursor, start + STRETCH)
        self._readings[number].began()
        # All of it before any is saved: the reader serves one at a time, and a sink may take long.
        first: list[Decision] = []
        try:
            async for records in self._reader.read(number, start, end):
                counting = index.first(records)
                first += counting
                own = [r for r, each in zip(records, counting, strict=True) if each is r.decision]
                stamp = own[-1].stamp if own else stamp
        except INDEX_FAILED as exc:
            self._decisions.failed(exc)
            return
        except LogCut as exc:
            log.warning("%s", exc)
            self._decisions.doubted(number)
            return
        except KafkaError as exc:  # others can be read, and saved, meanwhile
            self._readings[number].failed(exc)
            return
        self._readings[number].succeeded()
        for place in range(0, len(first), self.sink.at_once):
            some = first[place : place + self.sink.at_once]
            await self._until_it_does(partial(self._save_unpurged, Batch(some)))
        if self._kept.get(number) is kept:
            self._kept[number], self._handed[number] = Kept(end, stamp), end

    async def _save(self, taken: Sequence[Handed]) -> None:
        batch = Batch.of([each.batch for each in taken])
        try:
            await self._until_it_does(partial(self._save_unpurged, batch))
        finally:
            self._queue.done(taken)

    async def _save_unpurged(self, batch: Batch) -> None:
        left = unpurged(batch.decisions, self._progress.purged(self.sink.name))
        if left is batch.decisions:
            await save_isolating(self.sink, left, self._refused, batch)
        elif left:
            await save_isolating(self.sink, left, self._refused)

    async def _until_it_does(self, action: Callable[[], Awaitable[None]]) -> None:
        async for attempt in patiently(self._saving, on=SinkUnavailable):
            with attempt:
                try:
                    with store_call(self.sink.name):
                        await action()
                except SinkUnavailable as exc:
                    self.failure = str(exc)
                    self._tried.set()
                    raise
        if self.failure is not None:
            log.info("%s is back; %d decisions behind", self.sink.name, self.behind)
            self.failure = None

    @Service.timer(COMMIT_INTERVAL)
    async def _now_and_then(self) -> None:
        if self._late():  # an index that was made anew tells nobody
            self.wake()
        note = monotonic() - self._noted >= PACE
        if note:
            self._noted = monotonic()
        await self._save_checkpoints(note=note)

    async def _save_checkpoints(self, *, note: bool) -> None:
        for number, kept in list(self._kept.items()):
            now = self._checkpoints.checked(number, kept)
            if now is not kept:
                self._kept[number], self._handed[number] = now, now.offset
                self._set_back.add(number)
                self.wake()
        await self._checkpoints.save(dict(self._kept), note=note)


async def save_isolating(
    sink: DecisionSink,
    decisions: Sequence[Decision],
    refused: Refused,
    batch: Batch | None = None,
) -> None:
    """Save decisions; what the sink refuses is handed to `refused`, and the rest saved without it.

    `batch` holds the same decisions, if there is one already. Raises `SinkUnavailable`.
    """
    try:
        await sink.save(batch or Batch(decisions))
    except DecisionRejected as exc:
        if len(decisions) == 1:
            await refused(sink.name, decisions[0], exc)
            return
        half = len(decisions) // 2
        await save_isolating(sink, decisions[:half], refused)
        await save_isolating(sink, decisions[half:], refused)
