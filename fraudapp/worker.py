"""What a worker holds while it runs: model, decision log, sinks and waiting callers."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from time import monotonic
from typing import Any, Final, NamedTuple, cast

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust import App
from faust.exceptions import ConsumerNotStarted
from mode import Service

from fraudapp.decisions.batch import encode
from fraudapp.decisions.index import INDEX_FAILED
from fraudapp.decisions.listener import DecisionListener
from fraudapp.decisions.log import DecisionLog
from fraudapp.decisions.log_queries import LogQueries
from fraudapp.decisions.recent import Unknowable
from fraudapp.decisions.waiters import DecisionWaiters
from fraudapp.first_model import ready_scorer
from fraudapp.kafka import topics
from fraudapp.kafka.consumer import SafeConsumer
from fraudapp.kafka.producer import BatchProducer
from fraudapp.kafka.readability import ReadabilityProbe
from fraudapp.kafka.topic_watch import TopicWatch
from fraudapp.kafka.transport import SafeTransport
from fraudapp.messages.publish import publish_dead_letters
from fraudapp.process import malloc, open_files
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings, unknown_variables
from fraudapp.sinks.all import Sinks
from fraudapp.sinks.base import DecisionRejected
from fraudapp.sinks.pending import Pending
from fraudapp.sinks.progress import Progress
from fraudapp.sinks.retention import Retention
from fraudapp.sinks.writer import SinkWriter
from models.deciding import BatchScorer
from models.errors import NeedsOperator
from models.inputs import Input, Position, Rejection
from models.key_hash import key_partitions
from models.policy import Policy
from models.records import Decision

log = logging.getLogger(__name__)

GC_THRESHOLD: Final = 50_000
"""Objects made since the last look of the garbage collector, after which it looks again."""
OPENING: Final = 3.0
"""Seconds that the start waits for sinks to open: what is decided before is read from the log."""
SETTLING: Final = 1.0
"""Seconds after an assignment in which batches wait until it is known how far sinks have come.

That took 0.5 s when measured, indexes of an empty log included; what is decided before has to be
read from the log, for each sink.
"""
READING_IN: Final = 5.0
"""Seconds in which indexes are mostly read in; then the first of them are taken over alone."""
LOOKUPS: Final = 4
"""Look-ups in the sinks at a time, over HTTP: the rest of their connections is for writing."""

CANNOT_START: Final = (
    NeedsOperator,
    KafkaError,
    OSError,  # of files that cannot be made: it names them, and why
)


class NotStarted(Unknowable):
    """The worker has not opened yet what was asked for."""


@dataclass(frozen=True)
class Started:
    """What a worker has once it has started; sinks may be down then, as at any time."""

    scorer: BatchScorer
    policy: Policy
    waiters: DecisionWaiters
    producer: BatchProducer
    decisions: DecisionLog
    sinks: Sinks
    sink_writers: Sequence[SinkWriter]
    progress: Progress
    pending: Pending
    listener: DecisionListener
    log_queries: LogQueries
    topics: TopicWatch
    readability: ReadabilityProbe
    assignment_settled: Callable[[], Awaitable[None]]
    """Waits a moment, after an assignment, until it is known how far sinks have come."""


class Assignment(NamedTuple):
    """The partitions that are this worker's in a generation of the consumer group."""

    generation: int
    partitions: Sequence[int]


class FraudWorker(Service):
    """The first service of a worker to be opened, before all that consumes; the last closed."""

    def __init__(self, settings: Settings, app: App) -> None:
        self.settings = settings
        self.app = app
        self.waiters = DecisionWaiters()
        self.assignment = Assignment(-1, [])
        """Partitions of which the index is read in, and that the sinks follow."""
        self.lookups = asyncio.Semaphore(LOOKUPS)
        self._assigned: Sequence[int] = ()
        self._parts: Started | None = None
        self._services: list[Service] = []
        self._closing: list[Callable[[], Awaitable[None]]] = []
        self._settling: asyncio.Task[None] | None = None
        self._assigned_at = 0.0
        super().__init__()

    @property
    def has_started(self) -> bool:
        """Whether `parts` returns."""
        return self._parts is not None

    def parts(self) -> Started:
        """Return what was opened at the start; raises `NotStarted` before."""
        if self._parts is None:
            raise NotStarted("this worker has not started yet")
        return self._parts

    async def on_start(self) -> None:
        """Train the first model if there is none, make topics, connect to the broker."""
        for sentence in unknown_variables():
            log.warning("%s, and is ignored", sentence)
        if few := open_files.too_few(self.settings.topic_partitions):
            log.warning(few)
        try:
            await self._open()
        except CANNOT_START as exc:
            log.critical("cannot start: %s", exc)
            # The sentence above says what to do; a stack trace would bury it.
            raise SystemExit(1) from exc

    async def on_stop(self) -> None:
        """Disconnect."""
        if self._settling:
            self._settling.cancel()
        for service in self._services:
            await service.stop()  # before what they use
        for close in reversed(self._closing):
            await close()

    def on_assigned(self, partitions: Sequence[int], generation: int) -> None:
        """Let the sinks follow these partitions of the log from now on, and no others."""
        if self._settling:
            self._settling.cancel()
        self._assigned = partitions
        self._settling = asyncio.create_task(self._settle(partitions, generation))
        self._settling.add_done_callback(self.ended)
        self._assigned_at = monotonic()

    def decided_here(self, transaction_id: str) -> Decision | None:
        """Return the decision if its partition is or was this worker's: from the index."""
        decisions = self.parts().decisions
        index = decisions.index(self.key_partition(transaction_id))
        try:
            return index.find([transaction_id]).get(transaction_id) if index else None
        except INDEX_FAILED as exc:
            decisions.failed(exc)
            return None

    def decides(self, transaction_id: str) -> bool:
        """Whether it is for this worker to decide: then what its index lacks is decided nowhere.

        A worker that was paused may not know yet that its partitions have gone.
        """
        generation, partitions = self.assignment
        partition = self.key_partition(transaction_id)
        if generation != self.app.consumer_generation_id or partition not in partitions:
            return False
        return self.parts().decisions.is_ready(partition, generation)

    def stored(self, partition: int) -> int | None:
        """Offset in the log up to which Postgres has a partition of this worker, once known."""
        started = self.parts()
        postgres = (each for each in started.sink_writers if each.sink is started.sinks.postgres)
        return next((writer.written(partition) for writer in postgres), None)

    def unread(self) -> list[int]:
        """Partitions of this worker of which it has not read in yet what was decided."""
        if self._parts is None:
            return [*self._assigned]
        generation, decisions = self.app.consumer_generation_id, self._parts.decisions
        return [each for each in self._assigned if not decisions.is_ready(each, generation)]

    def troubles(self) -> list[str]:
        """What this worker cannot do in Kafka that it has to, and why; sinks do not count."""
        if (started := self._parts) is None:
            return []
        consumer = cast(SafeConsumer, self.app.consumer)
        return [
            *started.readability.troubles(),
            *consumer.troubles(),
            *started.listener.troubles(),
            *started.progress.troubles(),
            *chain.from_iterable(writer.troubles() for writer in started.sink_writers),
            *started.producer.troubles(),
        ]

    def ended(self, task: asyncio.Task[Any]) -> None:
        """End the worker if a task of it has failed: nothing in hand is finished, all replayed."""
        if not task.cancelled() and (exc := task.exception()) is not None:
            self.end(exc)

    def end(self, exc: BaseException) -> None:
        """End the worker because of this."""
        # A sentence that says what to do; a stack trace would bury it.
        told = isinstance(exc, NeedsOperator)
        log.critical("this worker cannot go on: %s", exc, exc_info=None if told else exc)
        self.app.add_future(self.app.crash(exc))

    def key_partition(self, transaction_id: str) -> int:
        """Return the partition of the log in which it is decided."""
        return key_partitions([transaction_id], self.settings.topic_partitions)[0]

    async def assignment_settled(self) -> None:
        """Wait up to `SETTLING` after an assignment until it is known how far sinks have come."""
        if self._settling and not self._settling.done():
            left = self._assigned_at + SETTLING - monotonic()
            await asyncio.wait([self._settling], timeout=max(0.0, left))

    async def _open(self) -> None:
        settings = self.settings
        scorer = await asyncio.to_thread(ready_scorer, settings, log.info)
        await topics.ensure(settings)
        sinks = Sinks(settings)
        await sinks.check_access()
        producer = BatchProducer(settings)
        await producer.start()
        self._closing.append(producer.stop)
        decisions = DecisionLog(settings, producer, self.ended)
        self._closing.append(decisions.close)
        await decisions.open()
        progress = Progress(settings, producer, [sink.name for sink in sinks.each])
        refused = partial(_dead_letter, settings, producer)
        started = Started(
            scorer=scorer,
            policy=settings.policy,
            waiters=self.waiters,
            producer=producer,
            decisions=decisions,
            sinks=sinks,
            sink_writers=[
                SinkWriter(settings, sink, decisions, progress, refused) for sink in sinks.each
            ],
            progress=progress,
            pending=Pending(sinks.redis),
            listener=DecisionListener(settings, self.waiters),
            log_queries=LogQueries(settings),
            topics=TopicWatch(settings, producer, self.end),
            readability=ReadabilityProbe(settings, self._to_be_read),
            assignment_settled=self.assignment_settled,
        )
        await self._start_services(started)
        self._parts = started
        transport = cast(SafeTransport, self.app.transport)
        transport.topic_ids, transport.end = started.topics.ids, self.end
        with suppress(asyncio.TimeoutError):
            tried = asyncio.gather(*(writer.tried() for writer in started.sink_writers))
            await asyncio.wait_for(tried, OPENING)
        # What is there now stays, and batches are full of objects that refer to nothing else: the
        # collector need not look through them at every seven hundred.
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)

    async def _start_services(self, started: Started) -> None:
        # One of all workers drops what has expired: the owner of the first partition.
        retention = Retention(
            self.settings,
            started.sinks,
            started.progress.mark,
            drops=lambda: 0 in self.assignment.partitions,
        )
        self._services = [
            *started.sink_writers,
            started.listener,
            started.log_queries,
            retention,
            started.topics,
            started.readability,
            started.progress,  # the last to be stopped: sink writers write to it then
        ]
        for service in self._services:
            await self.add_runtime_dependency(service)

    @Service.timer(malloc.TRIM_INTERVAL)
    async def _trim(self) -> None:
        if self._parts is not None:
            # Write buffers of indexes at rest are given back at the next call.
            self._parts.decisions.flush_if_idle()
        await asyncio.to_thread(malloc.trim)

    async def _settle(self, partitions: Sequence[int], generation: int) -> None:
        decisions = self.parts().decisions
        reading = {
            asyncio.create_task(decisions.ready(partition, generation)): partition
            for partition in partitions
        }
        left = set(reading)
        try:
            if left:
                await asyncio.wait(left, timeout=READING_IN)
            while True:
                # One that takes longer, or has no leader, is taken over when it can be.
                done = {each for each in reading if each.done()}
                for each in done:
                    each.result()
                await self._own(sorted(reading[each] for each in done), generation)
                if not (left := reading.keys() - done):
                    return
                await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in left:
                each.cancel()

    async def _own(self, partitions: Sequence[int], generation: int) -> None:
        started = self.parts()
        self.assignment = Assignment(generation, list(partitions))
        # What was decided last by whoever had them before was not heard of if it is in the indexes.
        self.waiters.notify(filter(None, map(self.decided_here, self.waiters.awaited())))
        started.listener.take_over(started.decisions.next_offsets, partitions)
        await asyncio.gather(*(_assign(each, partitions) for each in started.sink_writers))

    def _to_be_read(self) -> Iterable[TopicPartition]:
        """The log, progress, and what is assigned: transactions, and changelogs of tables."""
        topic, count = self.settings.decisions_topic, self.settings.topic_partitions
        yield from (TopicPartition(topic, partition) for partition in range(count))
        yield TopicPartition(self.settings.progress_topic, 0)
        with suppress(ConsumerNotStarted):
            yield from (TopicPartition(*each) for each in self.app.consumer.assignment())


async def _dead_letter(
    settings: Settings,
    producer: BatchProducer,
    sink: str,
    decision: Decision,
    exc: DecisionRejected,
) -> None:
    """Publish a decision that a sink will never take, so that somebody sees it."""
    log.error("%s refuses the decision on %r: %s", sink, decision.transaction_id, exc)
    origin = Position(decision.topic, decision.partition, decision.offset)
    source = Input(decision.transaction_id.encode(), encode(decision), origin, origin)
    rejection = Rejection(source, "refused", f"{sink}: {exc}")
    await publish_dead_letters(producer, settings.dead_letters_topic, [rejection])


async def _assign(sink_writer: SinkWriter, partitions: Sequence[int]) -> None:
    async for attempt in retry_forever(sink_writer.taking_over):
        with attempt:
            await sink_writer.assign(partitions)
