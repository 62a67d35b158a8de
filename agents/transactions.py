"""The transactions agent: Faust's hooks and the wiring of queues in front of the pipeline."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from faust import App
from faust.types import TP, StreamT

from agents.batch_sizer import BatchSizer
from agents.batcher import Batcher, Steps
from agents.in_flight import InFlight
from agents.partition_queues import PartitionQueues
from agents.pipeline import Pipeline
from agents.surplus_partitions import SurplusPartitions
from fraudapp.kafka.consumer import SafeConsumer
from fraudapp.kafka.record_batch import RawSchema
from fraudapp.metrics import lost_messages
from fraudapp.settings import Settings
from fraudapp.worker import FraudWorker
from models.records import Decision
from tables.decision_counts import OwnCounts

REFRESH_INTERVAL: Final = 5.0
"""Seconds between two writings of unchanged counts; see `OwnCounts`."""


class TransactionsAgent:
    """Hands record batches to the queue of their partition, from which batches are made."""

    def __init__(
        self,
        app: App,
        settings: Settings,
        worker: FraudWorker,
        counts: OwnCounts,
        *,
        decided: Callable[[Sequence[Decision]], None],
    ) -> None:
        """`decided` is called with the decisions of each batch: see `Pipeline`."""
        self._app = app
        self._settings = settings
        self._worker = worker
        self._counts = counts
        self._decided = decided
        self._tasks: list[asyncio.Task[None]] = []

    def register(self) -> None:
        """Register the agent, its timer and its signals with the app."""
        topic = self._app.topic(
            self._settings.transactions_topic,
            # Raw bytes: Faust acknowledges a message that it cannot decode, which is then lost.
            schema=RawSchema(key_serializer="raw", value_serializer="raw"),
        )
        self._app.agent(topic, name="agents.transactions.transactions", concurrency=1)(self.consume)
        self._app.timer(REFRESH_INTERVAL)(self.refresh_counts)
        self._app.on_before_shutdown.connect(self.close_waiters)  # type: ignore[arg-type]
        self._app.on_partitions_assigned.connect(self.on_assigned)  # type: ignore[arg-type]

    async def consume(self, stream: StreamT[Any]) -> None:
        """Decide transactions, those of each partition in their order."""
        # An exception would acknowledge what is in flight.
        stream.enable_acks = False
        consumer = cast(SafeConsumer, self._app.consumer)
        started, in_flight = self._worker.parts(), InFlight(self._app, consumer)
        pipeline = Pipeline(
            self._settings,
            started,
            in_flight,
            self._counts,
            decided=self._decided,
            ended=self._worker.ended,
        )
        self._run(pipeline.completion.run())
        decided = self._queues(pipeline)
        surplus = self._queues(SurplusPartitions(self._settings, started.producer, in_flight))

        def queues_of(partition: int) -> PartitionQueues:
            return surplus if self._is_surplus(partition) else decided

        consumer.is_full = lambda tp: (
            tp.topic == self._settings.transactions_topic
            and queues_of(tp.partition).is_full(tp.partition)
        )
        async for event in stream.events():
            queues_of(event.message.partition).put(event)

    async def refresh_counts(self) -> None:
        """Write the counts of this worker's partitions again; see `OwnCounts`."""
        if self._app.rebalancing or self._app.in_recovery:
            return
        generation, partitions = self._worker.assignment
        if generation == self._app.consumer_generation_id:
            decisions = self._worker.parts().decisions
            indexes = {partition: decisions.index(partition) for partition in partitions}
            totals = {each: dict(index.counts) for each, index in indexes.items() if index}
            self._counts.refresh(generation, totals)

    async def close_waiters(self, sender: Any, **kwargs: Any) -> None:
        """Answer every waiting HTTP caller now: the web server does not close while they wait."""
        self._worker.waiters.close()

    async def on_assigned(self, sender: Any, assigned: set[TP], **kwargs: Any) -> None:
        """Let the sinks follow the partitions that are this worker's from now on."""
        topic = self._settings.transactions_topic
        partitions = sorted(tp.partition for tp in assigned if tp.topic == topic)
        for partition in partitions:
            lost_messages.labels(str(partition))  # 0, from which it may rise
        decided = [each for each in partitions if not self._is_surplus(each)]
        self._worker.on_assigned(decided, self._app.consumer_generation_id)

    def _is_surplus(self, partition: int) -> bool:
        """Whether nothing is decided in this partition."""
        return partition >= self._settings.topic_partitions

    def _queues(self, steps: Steps[Any]) -> PartitionQueues:
        """Return queues of which batches are made from now on."""
        sizer = BatchSizer(self._settings.batch_seconds)
        consumer = cast(SafeConsumer, self._app.consumer)
        queues = PartitionQueues(sizer, room=consumer.wake_getmany)
        self._run(Batcher(queues, sizer, steps, ended=self._worker.ended).run())
        return queues

    def _run(self, work: Any) -> None:
        self._tasks.append(asyncio.create_task(work))
        self._tasks[-1].add_done_callback(self._worker.ended)
