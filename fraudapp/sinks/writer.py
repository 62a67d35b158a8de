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
from fraudapp.decisions.fingerprints import fingerprint_of
from fraudapp.decisions.index import INDEX_FAILED
from fraudapp.decisions.log import DecisionLog
from fraudapp.decisions.reader import LogCut, LogReader
from fraudapp.metrics import store_call
from fraudapp.operation import Operation, PartitionReads, troubles
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings
from fraudapp.sinks.base import DecisionRejected, DecisionSink, SinkUnavailable
from fraudapp.sinks.checkpoints import NOTE_INTERVAL, Checkpoints, Written
from fraudapp.sinks.progress import Progress
from fraudapp.sinks.progress_records import unpurged
from fraudapp.sinks.write_buffer import BufferedBatch, WriteBuffer
from models.records import Decision

log = logging.getLogger(__name__)

BACKPRESSURE_TIMEOUT: Final = 0.25
"""Seconds that the pipeline waits for room in a write buffer; then the sink lags."""
QUIET: Final = 0.2
"""Seconds without a new decision, after which those at hand need not wait for more."""
MAX_IN_FLIGHT: Final = 2
"""Batches on their way to the sink: one is made ready while the sink is busy with another."""
MAX_RECORDS_READ: Final = 4_000
"""Records of the log read at once for a sink that is behind, at most."""
RETRY: Final = 1.0
"""Seconds until a partition of the log that could not be read is tried again."""
COMMIT_INTERVAL: Final = 1.0
"""Seconds between two commits of how far a sink has come."""

Refused = Callable[[str, Decision, DecisionRejected], Awaitable[None]]


class SinkWriter(Service):
    """Saves what the log holds of this worker's partitions, at the pace of one sink.

    The pipeline enqueues each batch as it is decided. While the sink keeps up, the pipeline waits
    a moment for capacity (back-pressure). A sink that lags, or is down, holds up nobody: what does
    not fit into the write buffer is dropped from it, and read from the log until the sink has
    caught up. The offset written is noted (`Checkpoints`), and the next owner of a partition goes
    on from there. Saving twice is harmless. What was purged is not saved again.
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
        self.taking_over = Operation(
            f"asking how far {sink.name} has come with {settings.decisions_topic}"
        )
        self._saving = Operation(f"saving to {sink.name}, for which decisions wait in the log")
        self._readings = PartitionReads(settings.decisions_topic, f" for {sink.name}")
        self._decisions = decisions
        self._refused = refused
        self._progress = progress
        self._reader = LogReader(settings, group=f"{settings.app_id}-{sink.name}")
        self._checkpoints = Checkpoints(sink.name, decisions, self._reader, progress)
        self._noted = monotonic()
        self._written: dict[int, Written] = {}  # how far the sink has a partition
        self._enqueued: dict[int, int] = {}  # the same, with all that is queued
        self._rewound: set[int] = set()  # of what is queued of these, nothing counts
        self._buffer = WriteBuffer()
        self._running: asyncio.Future[None] | None = None
        self._tried = asyncio.Event()
        self._work = Event()
        self._enough = Event()
        super().__init__()

    @property
    def lag(self) -> int:
        """How many decisions of this worker's partitions the sink does not have yet."""
        places = [(written.offset, self._end(number)) for number, written in self._written.items()]
        # A log that was cut may end before what the sink has of another one: none of it counts.
        return sum(end - written if written <= end else end for written, end in places)

    def troubles(self) -> list[str]:
        """What cannot be read in Kafka, and why; a sink that is down is none of these."""
        return troubles([self.taking_over, *self._readings.values()])

    def written(self, number: int) -> int | None:
        """Offset in the log up to which the sink has a partition of this worker, once known."""
        written = self._written.get(number)
        return written.offset if written else None

    async def wait_for_capacity(self, batch: Batch) -> None:
        """Wait a moment until a batch fits in: back-pressure. Not if the sink is down or lags."""
        if self.failure is None and not self._lagging():
            await self._buffer.wait_for_capacity(batch, BACKPRESSURE_TIMEOUT)

    def enqueue(self, number: int, start: int, end: int, batch: Batch) -> None:
        """Take decisions that were just appended to the log, from offset `start` up to `end`."""
        follows = self._enqueued.get(number) == start and number not in self._rewound
        if follows and self._buffer.enqueue(BufferedBatch(number, end, batch)):
            self._enqueued[number] = end
        self.notify()

    def notify(self) -> None:
        """Look whether the log has something for the sink."""
        self._work.set()
        if len(self._buffer) >= self.sink.max_batch or self._lagging():
            self._enough.set()

    async def assign(self, numbers: Iterable[int]) -> None:
        """Care for these partitions from now on, and for no others. Raises `KafkaError`.

        Their indexes have been read to the end of the log.
        """
        await self._save_checkpoints(note=True)
        self._buffer.clear()
        self._readings.clear()
        self._written, self._enqueued = {}, {}
        self._written = await self._checkpoints.load(list(numbers))
        self._enqueued = {number: written.offset for number, written in self._written.items()}
        self.notify()

    async def tried(self) -> None:
        """Return once the sink is open, or is found to be down."""
        await self._tried.wait()

    async def on_start(self) -> None:
        """Connect to the broker; the sink may be down."""
        await self._reader.start()
        self._running = self.add_future(self._run())

    async def on_stop(self) -> None:
        """Leave how far this has come to whoever comes next."""
        if self._running:  # on a failed start there may be none
            self._running.cancel()
            await asyncio.wait([self._running])  # or it would find the sink closed below it
        await self._save_checkpoints(note=True)
        await self._reader.stop()
        await self.sink.close()

    async def _run(self) -> None:
        await self._retry(self.sink.open)
        self._tried.set()
        while not self.should_stop:
            await self._work.wait()
            self._work.clear()
            await self._linger()
            await self._save_queued()
            self._rewound.clear()
            for number in self._lagging():
                await self._read(number)
            if any(each.reason for each in self._readings.values()):
                await self.sleep(RETRY)
            if len(self._buffer) or self._lagging():
                self._work.set()

    async def _save_queued(self) -> None:
        """Save what is queued until too little is, some at a time and noted in their order."""
        saving: deque[tuple[Sequence[BufferedBatch], asyncio.Task[None]]] = deque()
        enough = 1  # what has been gathered is taken as it is
        try:
            while saving or len(self._buffer) >= enough:
                while len(saving) < MAX_IN_FLIGHT and len(self._buffer) >= enough:
                    taken = self._buffer.take(self.sink.max_batch)
                    saving.append((taken, asyncio.create_task(self._save(taken))))
                    enough = self.sink.max_batch if self.sink.linger else 1
                await saving[0][1]
                self._saved(saving.popleft()[0])
        finally:
            for _, task in saving:
                task.cancel()

    def _saved(self, taken: Sequence[BufferedBatch]) -> None:
        for number, end, batch in taken:
            if number in self._written and number not in self._rewound:
                if end > self._written[number].offset:
                    last = batch.decisions[-1].transaction_id
                    self._written[number] = Written(
                        end, fingerprint_of(end - 1, last, batch.encoded[-1])
                    )
                # A reassignment during the save has set this back to the committed offset.
                self._enqueued[number] = max(self._enqueued[number], self._written[number].offset)

    async def _linger(self) -> None:
        """Let decisions come together while they come, where the sink wants many at once."""
        self._enough.clear()
        began, before = monotonic(), -1
        while (
            before < len(self._buffer) < self.sink.max_batch
            and monotonic() - began < self.sink.linger
            and not (self.should_stop or self._lagging())
        ):
            before = len(self._buffer)
            await self.wait_for_stopped(self._enough, timeout=min(QUIET, self.sink.linger))

    def _lagging(self) -> list[int]:
        """Partitions with decisions that are not in the buffer, and are to be read from the log."""
        return [number for number, end in self._enqueued.items() if end < self._end(number)]

    def _end(self, number: int) -> int:
        index = self._decisions.index(number)
        return index.next_offset if index else 0

    async def _read(self, number: int) -> None:
        index, written = self._decisions.index(number), self._written.get(number)
        if index is None or written is None:
            return
        start, fingerprint = written
        if self._enqueued[number] != start:
            return  # what is queued of this partition comes first
        end = min(index.next_offset, start + MAX_RECORDS_READ)
        self._readings[number].began()
        # All of it before any is saved: the reader serves one at a time, and a sink may take long.
        first: list[Decision] = []
        try:
            async for records in self._reader.read(number, start, end):
                counting = index.first(records)
                first += counting
                own = [r for r, each in zip(records, counting, strict=True) if each is r.decision]
                fingerprint = own[-1].fingerprint if own else fingerprint
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
        for place in range(0, len(first), self.sink.max_batch):
            some = first[place : place + self.sink.max_batch]
            await self._retry(partial(self._save_unpurged, Batch(some)))
        if self._written.get(number) is written:
            self._written[number], self._enqueued[number] = Written(end, fingerprint), end

    async def _save(self, taken: Sequence[BufferedBatch]) -> None:
        batch = Batch.of([each.batch for each in taken])
        try:
            await self._retry(partial(self._save_unpurged, batch))
        finally:
            self._buffer.done(taken)

    async def _save_unpurged(self, batch: Batch) -> None:
        left = unpurged(batch.decisions, self._progress.purged(self.sink.name))
        if left is batch.decisions:
            await save_isolating(self.sink, left, self._refused, batch)
        elif left:
            await save_isolating(self.sink, left, self._refused)

    async def _retry(self, action: Callable[[], Awaitable[None]]) -> None:
        async for attempt in retry_forever(self._saving, on=SinkUnavailable):
            with attempt:
                try:
                    with store_call(self.sink.name):
                        await action()
                except SinkUnavailable as exc:
                    self.failure = str(exc)
                    self._tried.set()
                    raise
        if self.failure is not None:
            log.info("%s is back; %d decisions behind", self.sink.name, self.lag)
            self.failure = None

    @Service.timer(COMMIT_INTERVAL)
    async def _now_and_then(self) -> None:
        if self._lagging():  # an index that was made anew tells nobody
            self.notify()
        note = monotonic() - self._noted >= NOTE_INTERVAL
        if note:
            self._noted = monotonic()
        await self._save_checkpoints(note=note)

    async def _save_checkpoints(self, *, note: bool) -> None:
        for number, written in list(self._written.items()):
            now = self._checkpoints.checked(number, written)
            if now is not written:
                self._written[number], self._enqueued[number] = now, now.offset
                self._rewound.add(number)
                self.notify()
        await self._checkpoints.save(dict(self._written), note=note)


async def save_isolating(
    sink: DecisionSink,
    decisions: Sequence[Decision],
    refused: Refused,
    batch: Batch | None = None,
) -> None:
    """Save decisions; what the sink refuses goes to `refused`, and the rest is saved.

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
