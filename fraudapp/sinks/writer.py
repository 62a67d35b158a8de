"""The sink writer: brings the decision log into one sink, at the pace of that sink.

The pipeline must not wait for a slow sink, and a sink must miss no decision. So the pipeline only
fills a bounded write buffer, and a sink that lags catches up from the log.
"""

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
from fraudapp.sinks.base import DecisionSink, SinkUnavailable
from fraudapp.sinks.checkpoints import NOTE_INTERVAL, Checkpoints, Written
from fraudapp.sinks.poison_rows import OnRejected, save_isolating
from fraudapp.sinks.progress import Progress
from fraudapp.sinks.progress_records import unpurged
from fraudapp.sinks.write_buffer import BufferedBatch, WriteBuffer
from models.records import Decision

log = logging.getLogger(__name__)

BACKPRESSURE_TIMEOUT: Final = 0.25
"""Seconds that the pipeline waits for room in a write buffer; then the sink lags."""
LINGER_IDLE_TIMEOUT: Final = 0.2
"""Seconds without a new decision that end the linger: more decisions are not coming."""
MAX_IN_FLIGHT: Final = 2
"""Batches being saved at a time: one is made ready while the sink is busy with another."""
MAX_RECORDS_READ: Final = 4_000
"""Records of the log that one step of a catch-up reads, at most."""
READ_RETRY_INTERVAL: Final = 1.0
"""Seconds until a partition of the log that could not be read is tried again."""
COMMIT_INTERVAL: Final = 1.0
"""Seconds between two commits of the written offsets."""


class SinkWriter(Service):
    """Saves the decisions that the log holds of this worker's partitions into one sink.

    The pipeline enqueues each batch after it was appended to the log. While the sink keeps up, the
    pipeline waits a moment for capacity in the write buffer (back-pressure). A sink that lags, or
    is down, holds up nobody: a batch that does not fit is left out of the buffer. The sink then
    lags, and its writer reads the log until it has caught up.

    Four offsets are kept of each partition, and each is that of the next record:

    - the written offset: every decision before it is in the sink;
    - the enqueued offset: every decision before it is in the sink or in the write buffer;
    - the committed offset: the last written offset that a checkpoint has made durable;
    - the end of the log, which is the next offset of the decision index.

    The next owner of a partition goes on from the committed offset (`Checkpoints`), so decisions
    may be saved twice, which is harmless. Decisions of days that were purged are not saved again.
    """

    def __init__(
        self,
        settings: Settings,
        sink: DecisionSink,
        decisions: DecisionLog,
        progress: Progress,
        on_rejected: OnRejected,
    ) -> None:
        """`on_rejected` is called with each poison row; the other decisions are saved."""
        self.sink = sink
        self.failure: str | None = None
        """Why the sink is unavailable; None while it takes decisions."""
        self.finding_progress = Operation(
            f"asking how far {sink.name} has come with {settings.decisions_topic}"
        )
        self._saving = Operation(f"saving to {sink.name}, for which decisions wait in the log")
        self._partition_reads = PartitionReads(settings.decisions_topic, f" for {sink.name}")
        self._decisions = decisions
        self._on_rejected = on_rejected
        self._progress = progress
        self._reader = LogReader(settings, group=f"{settings.app_id}-{sink.name}")
        self._checkpoints = Checkpoints(sink.name, decisions, self._reader, progress)
        self._noted_at = monotonic()
        self._written: dict[int, Written] = {}  # the written offset, by partition
        self._enqueued: dict[int, int] = {}  # the enqueued offset, by partition
        # Partitions whose log was replaced: batches in the buffer are of the log before, and do not
        # advance an offset.
        self._rewound: set[int] = set()
        self._buffer = WriteBuffer()
        self._running: asyncio.Future[None] | None = None
        self._attempted = asyncio.Event()
        self._work = Event()
        self._full_batch = Event()
        super().__init__()

    @property
    def lag(self) -> int:
        """Decisions of this worker's partitions that are in the log and not in the sink."""
        offsets = [
            (written.offset, self._end(partition)) for partition, written in self._written.items()
        ]
        # A log that was cut may end before the written offset. That offset is of another log then,
        # and all of this one is missing in the sink.
        return sum(end - written if written <= end else end for written, end in offsets)

    def troubles(self) -> list[str]:
        """Return the reads from Kafka that fail, and why; a sink that is down is not among them."""
        return troubles([self.finding_progress, *self._partition_reads.values()])

    def written(self, partition: int) -> int | None:
        """Return the written offset of a partition of this worker; None until it is known."""
        written = self._written.get(partition)
        return written.offset if written else None

    async def wait_for_capacity(self, batch: Batch) -> None:
        """Wait until a batch fits into the write buffer, up to `BACKPRESSURE_TIMEOUT`.

        Called by the pipeline before it appends to the log. Returns at once if the sink is down or
        lags: it reads from the log then, and waiting would not help.
        """
        if self.failure is None and not self._lagging():
            await self._buffer.wait_for_capacity(batch, BACKPRESSURE_TIMEOUT)

    def enqueue(self, partition: int, start: int, end: int, batch: Batch) -> None:
        """Enqueue decisions that the pipeline has just appended, from offset `start` up to `end`.

        Never blocks. A batch that does not fit, or does not follow on the enqueued offset, is left
        out: the sink lags, and reads it from the log.
        """
        follows = self._enqueued.get(partition) == start and partition not in self._rewound
        if follows and self._buffer.enqueue(BufferedBatch(partition, end, batch)):
            self._enqueued[partition] = end
        self.notify()

    def notify(self) -> None:
        """Let the writer look for new decisions, in the write buffer and in the log."""
        self._work.set()
        if len(self._buffer) >= self.sink.max_batch or self._lagging():
            self._full_batch.set()

    async def assign(self, partitions: Iterable[int]) -> None:
        """Follow these partitions from now on, and no others; raises `KafkaError`.

        Called by the worker after a rebalance, once the decision indexes of the partitions have
        been read to the end of the log.
        """
        await self._save_checkpoints(note=True)
        self._buffer.clear()
        self._partition_reads.clear()
        self._written, self._enqueued = {}, {}
        self._written = await self._checkpoints.load(list(partitions))
        self._enqueued = {partition: written.offset for partition, written in self._written.items()}
        self.notify()

    async def attempted(self) -> None:
        """Return once the first attempt to open the sink has succeeded or failed."""
        await self._attempted.wait()

    async def on_start(self) -> None:
        """Connect to the broker; the sink may be down."""
        await self._reader.start()
        self._running = self.add_future(self._run())

    async def on_stop(self) -> None:
        """Checkpoint the written offsets for the next owners, and close the sink."""
        if self._running:  # on a failed start there may be none
            self._running.cancel()
            await asyncio.wait([self._running])  # it must not find the sink closed below it
        await self._save_checkpoints(note=True)
        await self._reader.stop()
        await self.sink.close()

    async def _run(self) -> None:
        await self._retry(self.sink.open)
        self._attempted.set()
        while not self.should_stop:
            await self._work.wait()
            self._work.clear()
            await self._linger()
            await self._save_queued()
            self._rewound.clear()
            for partition in self._lagging():
                await self._catch_up(partition)
            if any(each.reason for each in self._partition_reads.values()):
                await self.sleep(READ_RETRY_INTERVAL)
            if len(self._buffer) or self._lagging():
                self._work.set()

    async def _save_queued(self) -> None:
        """Save the write buffer until it is empty; with a linger, until no full batch is left.

        Several batches are saved at a time, and they advance the written offset in their order.
        """
        saving: deque[tuple[Sequence[BufferedBatch], asyncio.Task[None]]] = deque()
        wanted = 1  # decisions: the linger is over, so the first batch need not be full
        try:
            while saving or len(self._buffer) >= wanted:
                while len(saving) < MAX_IN_FLIGHT and len(self._buffer) >= wanted:
                    taken = self._buffer.take(self.sink.max_batch)
                    saving.append((taken, asyncio.create_task(self._save(taken))))
                    wanted = self.sink.max_batch if self.sink.linger else 1
                await saving[0][1]
                self._advance(saving.popleft()[0])
        finally:
            for _, task in saving:
                task.cancel()

    def _advance(self, saved: Sequence[BufferedBatch]) -> None:
        """Advance the written offsets past batches that were saved."""
        for partition, end, batch in saved:
            if partition in self._written and partition not in self._rewound:
                if end > self._written[partition].offset:
                    last = batch.decisions[-1].transaction_id
                    self._written[partition] = Written(
                        end, fingerprint_of(end - 1, last, batch.encoded[-1])
                    )
                # A reassignment during the save has set this back to the committed offset.
                self._enqueued[partition] = max(
                    self._enqueued[partition], self._written[partition].offset
                )

    async def _linger(self) -> None:
        """Wait for more decisions while they keep coming, if the sink prefers larger batches."""
        self._full_batch.clear()
        began, before = monotonic(), -1
        while (
            before < len(self._buffer) < self.sink.max_batch
            and monotonic() - began < self.sink.linger
            and not (self.should_stop or self._lagging())
        ):
            before = len(self._buffer)
            timeout = min(LINGER_IDLE_TIMEOUT, self.sink.linger)
            await self.wait_for_stopped(self._full_batch, timeout=timeout)

    def _lagging(self) -> list[int]:
        """Partitions with decisions that are not in the write buffer, only in the log."""
        return [
            partition for partition, end in self._enqueued.items() if end < self._end(partition)
        ]

    def _end(self, partition: int) -> int:
        index = self._decisions.index(partition)
        return index.next_offset if index else 0

    async def _catch_up(self, partition: int) -> None:
        """Save the next decisions of a partition that lags, as the log has them."""
        index, written = self._decisions.index(partition), self._written.get(partition)
        if index is None or written is None:
            return
        start, fingerprint = written
        if self._enqueued[partition] != start:
            return  # the batches of this partition in the write buffer come first
        end = min(index.next_offset, start + MAX_RECORDS_READ)
        self._partition_reads[partition].began()
        # Everything is read before anything is saved: the reader serves one partition at a time,
        # and a save may take long.
        first: list[Decision] = []
        try:
            async for records in self._reader.read(partition, start, end):
                counting = index.first(records)
                first += counting
                own = [r for r, each in zip(records, counting, strict=True) if each is r.decision]
                fingerprint = own[-1].fingerprint if own else fingerprint
        except INDEX_FAILED as exc:
            self._decisions.repair(exc)
            return
        except LogCut as exc:
            log.warning("%s", exc)
            self._decisions.recheck(partition)
            return
        except KafkaError as exc:  # other partitions can be read and saved meanwhile
            self._partition_reads[partition].failed(exc)
            return
        self._partition_reads[partition].succeeded()
        for begin in range(0, len(first), self.sink.max_batch):
            some = first[begin : begin + self.sink.max_batch]
            await self._retry(partial(self._save_unpurged, Batch(some)))
        if self._written.get(partition) is written:
            self._written[partition], self._enqueued[partition] = Written(end, fingerprint), end

    async def _save(self, taken: Sequence[BufferedBatch]) -> None:
        batch = Batch.of([each.batch for each in taken])
        try:
            await self._retry(partial(self._save_unpurged, batch))
        finally:
            self._buffer.done(taken)

    async def _save_unpurged(self, batch: Batch) -> None:
        kept = unpurged(batch.decisions, self._progress.purged(self.sink.name))
        if kept is batch.decisions:
            await save_isolating(self.sink, kept, self._on_rejected, batch)
        elif kept:
            await save_isolating(self.sink, kept, self._on_rejected)

    async def _retry(self, action: Callable[[], Awaitable[None]]) -> None:
        async for attempt in retry_forever(self._saving, on=SinkUnavailable):
            with attempt:
                try:
                    with store_call(self.sink.name):
                        await action()
                except SinkUnavailable as exc:
                    self.failure = str(exc)
                    self._attempted.set()
                    raise
        if self.failure is not None:
            log.info("%s is back; %d decisions behind", self.sink.name, self.lag)
            self.failure = None

    @Service.timer(COMMIT_INTERVAL)
    async def _checkpoint_regularly(self) -> None:
        if self._lagging():  # an index that was made anew notifies nobody
            self.notify()
        note = monotonic() - self._noted_at >= NOTE_INTERVAL
        if note:
            self._noted_at = monotonic()
        await self._save_checkpoints(note=note)

    async def _save_checkpoints(self, *, note: bool) -> None:
        for partition, written in list(self._written.items()):
            checked = self._checkpoints.checked(partition, written)
            if checked is not written:
                self._written[partition], self._enqueued[partition] = checked, checked.offset
                self._rewound.add(partition)
                self.notify()
        await self._checkpoints.save(dict(self._written), note=note)
