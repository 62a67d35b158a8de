"""The worker service: it opens model, decision log, sinks and waiters, and follows assignments."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from itertools import chain
from typing import Any, Final, cast

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust import App
from faust.exceptions import ConsumerNotStarted
from mode import Service

from fraudapp.control.follower import ControlLog
from fraudapp.control.writer import ControlWriter
from fraudapp.decisions.batch import encode
from fraudapp.decisions.index import INDEX_FAILED
from fraudapp.decisions.listener import DecisionListener
from fraudapp.decisions.log import DecisionLog
from fraudapp.decisions.log_queries import LogQueries
from fraudapp.decisions.recent import Unknowable
from fraudapp.decisions.waiters import DecisionWaiters
from fraudapp.first_model import own_scorer
from fraudapp.kafka import topics
from fraudapp.kafka.consumer import SafeConsumer
from fraudapp.kafka.producer import BatchProducer
from fraudapp.kafka.readability import ReadabilityProbe
from fraudapp.kafka.topic_watch import TopicWatch
from fraudapp.kafka.transport import SafeTransport
from fraudapp.labels.joiner import LabelJoiner
from fraudapp.labels.known import KnownLabels
from fraudapp.messages.publish import publish_dead_letters
from fraudapp.process import malloc, open_files, tuning
from fraudapp.profiles.service import Profiles
from fraudapp.quality.labelled import QualityLabels
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings, unknown_variables
from fraudapp.shared_model import shared_scorer
from fraudapp.sinks.all import Sinks
from fraudapp.sinks.archive.archive import Archive
from fraudapp.sinks.base import DecisionRejected
from fraudapp.sinks.labels.all import label_keepers
from fraudapp.sinks.labels.keeper import LabelKeeper
from fraudapp.sinks.pending import Pending
from fraudapp.sinks.progress import Progress
from fraudapp.sinks.retention import Retention
from fraudapp.sinks.writer import SinkWriter
from fraudapp.takeover import Assignment, Takeover
from fraudapp.watch.batches import WatchedBatches
from fraudapp.watch.cards import ModelCards
from fraudapp.webhooks.service import Webhooks, webhooks_of
from models.errors import NeedsOperator
from models.inputs import Input, Position, Rejection
from models.key_hash import key_partitions
from models.records import Decision
from models.scorer import BatchScorer

log = logging.getLogger(__name__)

SINK_OPEN_TIMEOUT: Final = 3.0
"""Seconds that the start waits for sinks to open.

Decisions that are made before a sink is open reach it through the log.
"""
LOOKUPS: Final = 4
"""Concurrent look-ups in the sinks over HTTP; the other connections are for writing."""

CANNOT_START: Final = (
    NeedsOperator,
    KafkaError,
    OSError,  # its message names the file that cannot be created, and the reason
)
"""Failures of a start whose message suffices; any other failure keeps its traceback."""


class NotStarted(Unknowable):
    """The worker has not started yet."""


@dataclass(frozen=True)
class Started:
    """The parts of a worker that has started; sinks may be down then, as at any time."""

    scorer: BatchScorer
    """The worker's own; see `serving`."""
    control: ControlLog
    waiters: DecisionWaiters
    producer: BatchProducer
    decisions: DecisionLog
    sinks: Sinks
    sink_writers: Sequence[SinkWriter]
    progress: Progress
    pending: Pending
    listener: DecisionListener
    log_queries: LogQueries
    labels: LabelJoiner
    known_labels: KnownLabels
    quality_labels: QualityLabels
    topics: TopicWatch
    readability: ReadabilityProbe
    watch: WatchedBatches
    assignment_settled: Callable[[], Awaitable[None]]
    """See `Takeover.settled`."""
    profiles: Profiles | None = None
    """None if the schema declares no values of profiles."""
    label_keepers: Sequence[LabelKeeper] = ()
    """Bring labels into sinks."""
    webhooks: Webhooks | None = None
    """None without a receiver."""

    @property
    def serving(self) -> BatchScorer:
        """What scores now: the model that the policy in force names, or else the worker's own."""
        return self.control.in_force.scorer or self.scorer


class FraudWorker(Service):
    """Starts before all services that consume, and stops after them."""

    def __init__(self, settings: Settings, app: App) -> None:
        self.settings = settings
        self.app = app
        self.waiters = DecisionWaiters()
        self.takeover = Takeover(
            lambda partition, generation: self.parts().decisions.ready(partition, generation),
            self._take_over,
            ended=self.ended,
        )
        self.lookups = asyncio.Semaphore(LOOKUPS)
        self._parts: Started | None = None
        self._services: list[Service] = []
        self._closing: list[Callable[[], Awaitable[None]]] = []
        super().__init__()

    @property
    def assignment(self) -> Assignment:
        """Partitions whose index is read, and which the sink writers follow."""
        return self.takeover.current

    @property
    def has_started(self) -> bool:
        """Whether `parts` returns."""
        return self._parts is not None

    def parts(self) -> Started:
        """Return what was opened at the start; raises `NotStarted` before."""
        if self._parts is None:
            raise NotStarted("this worker has not started yet")
        return self._parts

    def control_writer(self) -> ControlWriter:
        """Return what writes to the control topic; raises `NotStarted`."""
        started = self.parts()
        control = started.control
        return ControlWriter(
            self.settings, started.producer, control.known, control.read_to, control.end
        )

    async def on_start(self) -> None:
        """Create topics, take or train a model, and connect; ends the process if that fails."""
        for sentence in unknown_variables():
            log.warning("%s, and is ignored", sentence)
        if few := open_files.too_few(self.settings.topic_partitions):
            log.warning(few)
        try:
            await self._open()
        except CANNOT_START as exc:
            log.critical("cannot start: %s", exc)
            # The sentence above says what to do; a traceback would bury it.
            raise SystemExit(1) from exc

    async def on_stop(self) -> None:
        """Stop all services, then close the connections that they use."""
        self.takeover.cancel()
        for service in self._services:
            await service.stop()  # before the connections it uses
        for close in reversed(self._closing):
            await close()

    def on_assigned(self, partitions: Sequence[int], generation: int) -> None:
        """Let the sink writers follow these partitions of the log from now on, and no others.

        Called after each assignment. Does not block: a task takes the partitions over.
        """
        self.takeover.begin(Assignment(generation, partitions))

    def decided_here(self, transaction_id: str) -> Decision | None:
        """Return a decision from the index, if its partition is or was this worker's; else None."""
        decisions = self.parts().decisions
        index = decisions.index(self.key_partition(transaction_id))
        try:
            return index.find([transaction_id]).get(transaction_id) if index else None
        except INDEX_FAILED as exc:
            decisions.repair(exc)
            return None

    def decides(self, transaction_id: str) -> bool:
        """Return whether this worker decides a transaction; then its index has every decision.

        A worker that was paused may not know yet that it has lost its partitions.
        """
        generation, partitions = self.assignment
        partition = self.key_partition(transaction_id)
        if generation != self.app.consumer_generation_id or partition not in partitions:
            return False
        return self.parts().decisions.is_ready(partition, generation)

    def stored(self, partition: int) -> int | None:
        """Return the log offset up to which Postgres has a partition of this worker, once known."""
        started = self.parts()
        postgres = (each for each in started.sink_writers if each.sink is started.sinks.postgres)
        return next((writer.written(partition) for writer in postgres), None)

    def unread(self) -> list[int]:
        """Return the partitions of this worker whose index has not read all decisions yet."""
        assigned = self.takeover.assigned
        if self._parts is None:
            return [*assigned]
        generation, decisions = self.app.consumer_generation_id, self._parts.decisions
        return [each for each in assigned if not decisions.is_ready(each, generation)]

    def troubles(self) -> list[str]:
        """Return which Kafka operations of this worker fail, and why; sinks do not count."""
        if (started := self._parts) is None:
            return []
        consumer = cast(SafeConsumer, self.app.consumer)
        return [
            *started.readability.troubles(),
            *started.control.troubles(),
            *consumer.troubles(),
            *started.listener.troubles(),
            *(started.profiles.troubles() if started.profiles else ()),
            *started.progress.troubles(),
            *chain.from_iterable(writer.troubles() for writer in started.sink_writers),
            *chain.from_iterable(keeper.troubles() for keeper in started.label_keepers),
            *(started.webhooks.troubles() if started.webhooks else ()),
            *started.producer.troubles(),
        ]

    def notes(self) -> list[str]:
        """Return what is to be known of this worker though decisions do without it."""
        if (started := self._parts) is None:
            return []
        return [
            *started.control.notes(),
            *started.labels.troubles(),
            *started.known_labels.troubles(),
            *started.quality_labels.troubles(),
        ]

    def ended(self, task: asyncio.Task[Any]) -> None:
        """End the worker if one of its tasks has failed.

        The batches in flight are not acknowledged, so they are read again.
        """
        if not task.cancelled() and (exc := task.exception()) is not None:
            self.end(exc)

    def end(self, exc: BaseException) -> None:
        """End the worker because of this failure."""
        # The message of `NeedsOperator` says what to do; a traceback would bury it.
        says_what_to_do = isinstance(exc, NeedsOperator)
        trace = None if says_what_to_do else exc
        log.critical("this worker cannot go on: %s", exc, exc_info=trace)
        self.app.add_future(self.app.crash(exc))

    def key_partition(self, transaction_id: str) -> int:
        """Return the partition in which a transaction is decided."""
        return key_partitions([transaction_id], self.settings.topic_partitions)[0]

    async def _open(self) -> None:
        settings = self.settings
        scorer = await asyncio.to_thread(own_scorer, settings)
        await topics.ensure(settings)
        sinks = Sinks(settings)
        await sinks.check_access()
        producer = BatchProducer(settings)
        await producer.start()
        self._closing.append(producer.stop)
        scorer = scorer or await shared_scorer(settings, producer, log.info)
        decisions = DecisionLog(settings, producer, self.ended)
        self._closing.append(decisions.close)
        await decisions.open()
        progress = Progress(settings, producer, [sink.name for sink in sinks.each])
        refused = partial(_dead_letter, settings, producer)
        known_labels = KnownLabels(settings)
        control = ControlLog(settings, scorer, sinks.archive)
        started = Started(
            scorer=scorer,
            control=control,
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
            labels=LabelJoiner(settings, decisions, known_labels),
            known_labels=known_labels,
            quality_labels=QualityLabels(settings),
            topics=TopicWatch(settings, producer, self.end),
            readability=ReadabilityProbe(settings, self._to_be_read),
            watch=WatchedBatches(ModelCards(settings, lambda: control.known).expected),
            assignment_settled=self.takeover.settled,
            label_keepers=label_keepers(settings, progress),
            profiles=self._profiles(decisions, sinks.archive),
            webhooks=webhooks_of(settings),
        )
        await self._start_services(started)
        self._parts = started
        transport = cast(SafeTransport, self.app.transport)
        transport.topic_ids, transport.end = started.topics.ids, self.end
        with suppress(asyncio.TimeoutError):
            opened = asyncio.gather(*(writer.attempted() for writer in started.sink_writers))
            await asyncio.wait_for(opened, SINK_OPEN_TIMEOUT)
        tuning.relax_collector()

    def _profiles(self, decisions: DecisionLog, archive: Archive) -> Profiles | None:
        if self.settings.transaction_schema.remembering is None:
            return None
        profiles = Profiles(self.settings, decisions, archive)
        decisions.on_read = profiles.take_read
        return profiles

    async def _start_services(self, started: Started) -> None:
        # One worker drops expired data for all: the owner of the first partition.
        retention = Retention(
            self.settings,
            started.sinks,
            started.progress.mark,
            drops=lambda: 0 in self.assignment.partitions,
        )
        self._services = [
            started.control,  # first: no decision is made before its end was read
            *filter(None, [started.profiles]),
            *started.sink_writers,
            started.listener,
            started.log_queries,
            started.labels,
            started.known_labels,
            started.quality_labels,
            retention,
            started.topics,
            started.readability,
            *filter(None, [started.webhooks]),
            started.progress,  # stopped after sink writers, which write to it when they stop
            *started.label_keepers,  # they ask it first what was purged
        ]
        for service in self._services:
            await self.add_runtime_dependency(service)

    @Service.timer(malloc.TRIM_INTERVAL)
    async def _trim(self) -> None:
        if self._parts is not None:
            # Idle indexes flush their write buffers, whose memory the next call returns.
            self._parts.decisions.flush_if_idle()
        await asyncio.to_thread(malloc.trim)

    async def _take_over(self, assignment: Assignment) -> None:
        started, partitions = self.parts(), assignment.partitions
        # The listener may have missed the last decisions of the previous owners. The indexes have
        # them.
        self.waiters.notify(filter(None, map(self.decided_here, self.waiters.awaited())))
        started.listener.on_assigned(started.decisions.next_offsets, partitions)
        if started.profiles:
            started.profiles.on_assigned(partitions)
        await asyncio.gather(*(_assign(writer, partitions) for writer in started.sink_writers))
        await started.labels.assign(assignment.generation, partitions)

    def _to_be_read(self) -> Iterable[TopicPartition]:
        """Yield all partitions that this worker reads: three topics, and those of its assignment.

        The assignment has partitions of the transactions topic and of changelogs.
        """
        topic, count = self.settings.decisions_topic, self.settings.topic_partitions
        yield from (TopicPartition(topic, partition) for partition in range(count))
        yield TopicPartition(self.settings.progress_topic, 0)
        yield TopicPartition(self.settings.control_topic, 0)
        with suppress(ConsumerNotStarted):
            yield from (TopicPartition(*each) for each in self.app.consumer.assignment())


async def _dead_letter(
    settings: Settings,
    producer: BatchProducer,
    sink: str,
    decision: Decision,
    exc: DecisionRejected,
) -> None:
    """Send a decision that a sink will never take to the dead-letter topic, for people to see."""
    log.error("%s refuses the decision on %r: %s", sink, decision.transaction_id, exc)
    origin = Position(decision.topic, decision.partition, decision.offset)
    source = Input(decision.transaction_id.encode(), encode(decision), origin, origin)
    rejection = Rejection(source, "refused", f"{sink}: {exc}")
    await publish_dead_letters(producer, settings.dead_letters_topic, [rejection])


async def _assign(sink_writer: SinkWriter, partitions: Sequence[int]) -> None:
    async for attempt in retry_forever(sink_writer.finding_progress):
        with attempt:
            await sink_writer.assign(partitions)
