"""Joins labels with decisions, in all partitions that are this worker's."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from time import monotonic
from typing import Final

from aiokafka import TopicPartition
from mode import Service

from fraudapp.decisions.log import DecisionLog
from fraudapp.kafka.clients import new_consumer
from fraudapp.kafka.following import next_records
from fraudapp.kafka.producer import BatchProducer
from fraudapp.labels import metrics
from fraudapp.labels.ending import end
from fraudapp.labels.known import KnownLabels
from fraudapp.labels.lane import Lane
from fraudapp.labels.means import Means
from fraudapp.labels.progress import Done, Progress
from fraudapp.operation import Operation, troubles
from fraudapp.settings import Settings
from models.records import Decision

COMMIT_SECONDS: Final = 1.0
"""Seconds between two commits, at least."""
MAX_POLL_RECORDS: Final = 200
"""Records that are taken in without a pause: some milliseconds."""
MAX_FETCH_BYTES: Final = 64 << 10
"""Bytes that are fetched of a partition; what was fetched is dropped when the partition pauses."""


class LabelJoiner(Service):
    """Follows the topic of labels in the partitions that are assigned, each in a lane of its own.

    Labels are joined by whoever decides the transactions that they are about. A worker may not know
    yet that it has lost a partition. It does no harm: what it writes, its successor writes too.
    """

    def __init__(self, settings: Settings, decisions: DecisionLog, known: KnownLabels) -> None:
        self._lanes: dict[int, Lane] = {}
        self._generation = -1
        self._committed_at = 0.0
        self._reading = Operation(f"reading {settings.labels_topic}")
        self._consumer = new_consumer(
            settings,
            f"{settings.app_id}-labels",
            fetch_max_wait_ms=int(settings.broker_fetch_wait * 1_000),
            max_poll_records=MAX_POLL_RECORDS,
            max_partition_fetch_bytes=MAX_FETCH_BYTES,
        )
        # Not that of decisions: where labels cannot be written, decisions can be.
        self._producer = BatchProducer(settings)
        self._progress = Progress(self._consumer, settings.labels_topic)
        self._means = Means(
            settings, self._producer, decisions, known, self._consumer, self._progress
        )
        super().__init__()

    async def on_start(self) -> None:
        """Connect; raises `KafkaError`."""
        await self._producer.start()
        await self._consumer.start()
        settings = self._means.settings
        topics = [settings.labels_topic, settings.labelled_topic]
        self._means.topic_ids = await self._producer.topic_ids(topics, wait=True)
        self._progress.topic_id = self._means.topic_ids[settings.labels_topic]
        partitions = [
            TopicPartition(settings.labels_topic, each) for each in range(settings.topic_partitions)
        ]
        self._consumer.assign(partitions)
        self._consumer.pause(*partitions)

    async def on_stop(self) -> None:
        """Join nothing more, and disconnect."""
        await self._progress.commit(await self._leave())
        await self._consumer.stop()
        await self._producer.stop()

    def troubles(self) -> list[str]:
        """Return what fails, and why, of all that joining needs; decisions do not need it."""
        lanes = (lane.operation for lane in self._lanes.values())
        operations = [self._reading, self._progress.committing, *lanes]
        return [*troubles(operations), *self._producer.troubles()]

    async def assign(self, generation: int, partitions: Collection[int]) -> None:
        """Join the labels in these partitions from now on, and in no others.

        Called after each assignment, with the partitions whose decision index is read, and again in
        the same `generation` with more of them. Returns once all lanes of others have ended.
        """
        if generation != self._generation:
            # The broker may take long for it, and sinks wait for this.
            self.add_future(self._progress.commit(await self._leave()))
            self._generation = generation
        for partition in sorted(set(partitions) - self._lanes.keys()):
            lane = self._lanes[partition] = Lane(partition, self._means)
            lane.task = asyncio.create_task(lane.run())
            lane.task.add_done_callback(self._ended)

    def decided(self, partition: int, decisions: Sequence[Decision]) -> None:
        """Let labels that wait for these decisions, in the log now, be joined with them.

        Called by the pipeline with each batch; does not block.
        """
        if lane := self._lanes.get(partition):
            lane.decided(decisions)

    async def _leave(self) -> dict[int, Done]:
        """End all lanes, and return what is done with their partitions."""
        lanes, self._lanes = self._lanes, {}
        done = _done(lanes.values())
        await end(lane.task for lane in lanes.values() if lane.task)
        if lanes:
            self._consumer.pause(*(lane.tp for lane in lanes.values()))
        return done

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (exc := task.exception()) is not None:
            self.add_future(self.crash(exc))

    @Service.task
    async def _follow(self) -> None:
        while not self.should_stop:
            polled = await next_records(self, self._consumer, self._reading)
            for tp, records in (polled or {}).items():
                # Nothing waits between the poll and this, so these are of the lanes of now.
                self._consumer.pause(tp)
                if lane := self._lanes.get(tp.partition):
                    lane.give(records)
            if monotonic() - self._committed_at >= COMMIT_SECONDS:
                self._observe()
                await self._progress.commit(_done(self._lanes.values()))
                self._committed_at = monotonic()
            await asyncio.sleep(0)  # a poll that finds records waits for nothing

    def _observe(self) -> None:
        """Set the metrics that are about now."""
        indexes = [lane.index for lane in self._lanes.values() if lane.index]
        metrics.waiting.set(sum(index.waiting for index in indexes))
        metrics.conflicting.set(sum(index.conflicting for index in indexes))
        unread = 0
        for lane in self._lanes.values():
            high_water = self._consumer.highwater(lane.tp)
            if high_water is not None:
                unread += max(0, high_water - lane.next_offset)
        metrics.lag.set(unread)


def _done(lanes: Collection[Lane]) -> dict[int, Done]:
    return {lane.tp.partition: done for lane in lanes if (done := lane.done())}
