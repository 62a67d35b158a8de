"""What a worker holds while it runs: model, decision log, sinks and waiting callers."""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from itertools import chain
from time import monotonic
from typing import Any, Final, cast

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError
from faust import App
from faust.exceptions import ConsumerNotStarted
from mode import Service

from fraudapp.decisions.batch import Batch, encode
from fraudapp.decisions.index import INDEX_FAILED, IndexInUse
from fraudapp.decisions.listener import Announcements
from fraudapp.decisions.log import DecisionLog
from fraudapp.decisions.log_queries import Questions
from fraudapp.decisions.waiters import Waiting
from fraudapp.first_model import ready_scorer
from fraudapp.kafka import topics
from fraudapp.kafka.clients import BrokerRefuses
from fraudapp.kafka.consumer import SafeConsumer, SafeTransport
from fraudapp.kafka.producer import Appender
from fraudapp.kafka.readability import Sight
from fraudapp.kafka.topic_ids import TopicRemade
from fraudapp.kafka.topic_watch import TopicWatch
from fraudapp.kafka.topics import BrokerUnavailable, TopicsMisfit
from fraudapp.messages.publish import publish_dead_letters
from fraudapp.process import malloc, open_files
from fraudapp.process.disk import DiskUnusable
from fraudapp.retry import patiently
from fraudapp.settings import Settings, unknown_variables
from fraudapp.sinks.all import Sinks
from fraudapp.sinks.base import AccessDenied, DecisionRejected
from fraudapp.sinks.pending import Pending
from fraudapp.sinks.progress import Progress
from fraudapp.sinks.retention import Retention
from fraudapp.sinks.writer import SinkWriter
from models.admission import Input, Position, Rejection
from models.artifact import ModelFileError
from models.deciding import BatchScorer
from models.key_hash import home_partitions
from models.records import Decision

log = logging.getLogger(__name__)

GC_THRESHOLD: Final = 50_000
"""Objects made since the last look of the garbage collector, after which it looks again."""
OPENING: Final = 3.0
"""Seconds that the start waits for sinks to open: what is decided before is read from the log."""
TAKING_OVER: Final = 1.0
"""Seconds after an assignment in which batches wait until it is known how far sinks have come.

That took 0.5 s when measured, indexes of an empty log included; what is decided before has to be
read from the log, for each sink.
"""
READING_IN: Final = 5.0
"""Seconds in which indexes are mostly read in; then the first of them are taken over alone."""
LOOKUPS: Final = 4
"""Look-ups in the sinks at a time, over HTTP: the rest of their connections is for writing."""

CANNOT_START: Final = (
    AccessDenied,
    BrokerRefuses,
    BrokerUnavailable,
    DiskUnusable,
    TopicsMisfit,
    KafkaError,
    ModelFileError,
    OSError,  # of files that cannot be made: it names them, and why
    ValueError,  # of training, whose module is too heavy to import for its class
)
CANNOT_GO_ON: Final = (DiskUnusable, IndexInUse, TopicRemade)
"""Failures whose message says what to do."""


class Runtime(Service):
    """The first service of a worker to be opened, before all that consumes; the last to be closed.

    `scorer` is there once it has started. Sinks may be down, at the start as at any time.
    """

    scorer: BatchScorer

    def __init__(self, settings: Settings, app: App) -> None:
        self.settings = settings
        self.app = app
        self.policy = settings.policy
        self.waiting = Waiting()
        self.owned: tuple[int, list[int]] = (-1, [])
        """Generation of the consumer group, and the partitions that are this worker's in it."""
        self.lookups = asyncio.Semaphore(LOOKUPS)
        self._assigned: Sequence[int] = ()
        self._services: list[Service] = []
        self._taking_over: asyncio.Task[None] | None = None
        self._taken_over = 0.0  # when that began
        super().__init__()

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
        if self._taking_over:
            self._taking_over.cancel()
        for service in self._services:
            await service.stop()  # before what they use
        if hasattr(self, "decisions"):  # on a failed start there may be none
            await self.decisions.close()
            await self.appender.stop()

    def take_over(self, numbers: Sequence[int], generation: int) -> None:
        """Let the sinks follow these partitions of the log from now on, and no others."""
        if self._taking_over:
            self._taking_over.cancel()
        self._assigned = numbers
        self._taking_over = asyncio.create_task(self._take_over(numbers, generation))
        self._taking_over.add_done_callback(self.ended)
        self._taken_over = monotonic()

    def decided_here(self, transaction_id: str) -> Decision | None:
        """Return the decision if its partition is or was this worker's: from the index."""
        index = self.decisions.index(self.home(transaction_id))
        try:
            return index.find([transaction_id]).get(transaction_id) if index else None
        except INDEX_FAILED as exc:
            self.decisions.failed(exc)
            return None

    def decides(self, transaction_id: str) -> bool:
        """Whether it is for this worker to decide: then what its index lacks is decided nowhere.

        A worker that was paused may not know yet that its partitions have gone.
        """
        generation, numbers = self.owned
        home = self.home(transaction_id)
        current = generation == self.app.consumer_generation_id
        return current and home in numbers and self.decisions.is_ready(home, generation)

    def stored(self, number: int) -> int | None:
        """Offset in the log up to which the history has a partition of this worker, once known."""
        history = (each for each in self.sink_writers if each.sink is self.sinks.postgres)
        return next((sink_writer.written(number) for sink_writer in history), None)

    def unread(self) -> list[int]:
        """Partitions of this worker of which it has not read in yet what was decided."""
        generation = self.app.consumer_generation_id
        return [each for each in self._assigned if not self.decisions.is_ready(each, generation)]

    def troubles(self) -> list[str]:
        """What this worker cannot do in Kafka that it has to, and why; sinks do not count."""
        if not hasattr(self, "sight"):
            return []  # it has not started
        consumer = cast(SafeConsumer, self.app.consumer)
        return [
            *self.sight.troubles(),
            *consumer.troubles(),
            *self.announcements.troubles(),
            *self.progress.troubles(),
            *chain.from_iterable(sink_writer.troubles() for sink_writer in self.sink_writers),
            *self.appender.troubles(),
        ]

    def ended(self, task: asyncio.Task[Any]) -> None:
        """End the worker if a task of it has failed: nothing in hand is finished, all replayed."""
        if not task.cancelled() and (exc := task.exception()) is not None:
            self.end(exc)

    def end(self, exc: BaseException) -> None:
        """End the worker because of this."""
        # A sentence that says what to do; a stack trace would bury it.
        told = isinstance(exc, CANNOT_GO_ON)
        log.critical("this worker cannot go on: %s", exc, exc_info=None if told else exc)
        self.app.add_future(self.app.crash(exc))

    async def append(self, number: int, batch: Batch, cursor: int) -> bool:
        """Append decisions to the log and hand them to the sinks; see `DecisionLog.append`."""
        if self._taking_over and not self._taking_over.done():
            left = self._taken_over + TAKING_OVER - monotonic()
            await asyncio.wait([self._taking_over], timeout=max(0.0, left))
        for sink_writer in self.sink_writers:
            await sink_writer.wait_for_capacity(batch)
        undisturbed = await self.decisions.append(number, batch, cursor)
        self.announcements.tell()
        for sink_writer in self.sink_writers:
            if undisturbed:
                sink_writer.enqueue(number, cursor, cursor + len(batch.decisions), batch)
            else:
                sink_writer.notify()
        return undisturbed

    def home(self, transaction_id: str) -> int:
        """Return the partition of the log in which it is decided."""
        return home_partitions([transaction_id], self.settings.topic_partitions)[0]

    async def _open(self) -> None:
        self.scorer = await asyncio.to_thread(ready_scorer, self.settings, log.info)
        await topics.ensure(self.settings)
        self.sinks = Sinks(self.settings)
        self.pending = Pending(self.sinks.redis)
        await self.sinks.check_access()
        self.appender = Appender(self.settings)
        await self.appender.start()
        self.decisions = DecisionLog(self.settings, self.appender, self.ended)
        await self.decisions.open()
        names = [sink.name for sink in self.sinks.each]
        self.progress = Progress(self.settings, self.appender, names)
        self.sink_writers = [
            SinkWriter(self.settings, sink, self.decisions, self.progress, self._refused)
            for sink in self.sinks.each
        ]
        # One of all workers drops: the owner of the first partition.
        retention = Retention(
            self.settings, self.sinks, self.progress.mark, drops=lambda: 0 in self.owned[1]
        )
        self.announcements = Announcements(self.settings, self.waiting)
        self.questions = Questions(self.settings)
        self.watch = TopicWatch(self.settings, self.appender, self.end)
        self.sight = Sight(self.settings, self._to_be_read)
        self._services = [
            *self.sink_writers,
            self.announcements,
            self.questions,
            retention,
            self.watch,
            self.sight,
            self.progress,  # the last to be stopped: sink_writers write to it then
        ]
        for service in self._services:
            await self.add_runtime_dependency(service)
        transport = cast(SafeTransport, self.app.transport)
        transport.topic_ids, transport.end = self.watch.ids, self.end
        with suppress(asyncio.TimeoutError):
            await asyncio.wait_for(
                asyncio.gather(*(sink_writer.tried() for sink_writer in self.sink_writers)), OPENING
            )
        # What is there now stays, and batches are full of objects that refer to nothing else: the
        # collector need not look through them at every seven hundred.
        gc.freeze()
        gc.set_threshold(GC_THRESHOLD)

    @Service.timer(malloc.GIVING_BACK)
    async def _give_memory_back(self) -> None:
        self.decisions.settle()  # their write buffers are given back at the next call
        await asyncio.to_thread(malloc.give_back)

    async def _take_over(self, numbers: Sequence[int], generation: int) -> None:
        reading = {
            asyncio.create_task(self.decisions.ready(number, generation)): number
            for number in numbers
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
                await self._have(sorted(reading[each] for each in done), generation)
                if not (left := reading.keys() - done):
                    return
                await asyncio.wait(left, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in left:
                each.cancel()

    async def _have(self, numbers: Sequence[int], generation: int) -> None:
        self.owned = generation, list(numbers)
        # What was decided last by whoever had them before was not heard of if it is in the indexes.
        self.waiting.wake(filter(None, map(self.decided_here, self.waiting.awaited())))
        self.announcements.take_over(self.decisions.cursors, numbers)
        await asyncio.gather(*(_assign(sink_writer, numbers) for sink_writer in self.sink_writers))

    def _to_be_read(self) -> Iterable[TopicPartition]:
        """The log, progress, and what is assigned: transactions, and changelogs of tables."""
        topic, count = self.settings.decisions_topic, self.settings.topic_partitions
        yield from (TopicPartition(topic, number) for number in range(count))
        yield TopicPartition(self.settings.progress_topic, 0)
        with suppress(ConsumerNotStarted):
            yield from (TopicPartition(*each) for each in self.app.consumer.assignment())

    async def _refused(self, sink: str, decision: Decision, exc: DecisionRejected) -> None:
        log.error("%s refuses the decision on %r: %s", sink, decision.transaction_id, exc)
        origin = Position(decision.topic, decision.partition, decision.offset)
        key = decision.transaction_id.encode()
        source = Input(key, encode(decision), origin, origin)
        rejection = Rejection(source, "refused", f"{sink}: {exc}")
        await publish_dead_letters(self.appender, self.settings.dead_letters_topic, [rejection])


async def _assign(sink_writer: SinkWriter, numbers: Sequence[int]) -> None:
    async for attempt in patiently(sink_writer.taking_over):
        with attempt:
            await sink_writer.assign(numbers)
