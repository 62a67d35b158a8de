"""Tells the receiver of webhooks what it is to know, once all that went before was told.

Workers share the partitions as a consumer group. An offset is committed once the receiver has
answered 2xx to all events before it. So each is told at least once, whatever is down meanwhile.
While a partition waits for the receiver it is paused, and the group stays as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from time import monotonic
from typing import Any, Final

from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from mode import Service

from fraudapp.kafka.clients import new_consumer
from fraudapp.kafka.following import next_records
from fraudapp.kafka.offsets import load_metadata
from fraudapp.operation import Operation, troubles
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings
from fraudapp.webhooks.control_lane import ControlLane
from fraudapp.webhooks.decisions import events_of
from fraudapp.webhooks.lanes import DecisionLane, Lane
from fraudapp.webhooks.positions import Positions
from fraudapp.webhooks.receiver import Receiver

COMMIT_SECONDS: Final = 1.0
"""Seconds between two commits, at least."""
MAX_POLL_RECORDS: Final = 500
"""Records that are looked through without a pause: some milliseconds."""
MAX_FETCH_BYTES: Final = 256 << 10
"""Bytes that are fetched of a partition; what was fetched is dropped when the partition pauses."""


def webhooks_of(settings: Settings) -> Webhooks | None:
    """Return the service that the settings ask for; None if there is no receiver."""
    if settings.webhook_url is None:
        return None
    return Webhooks(
        settings, Receiver(settings.webhook_url.get_secret_value(), settings.webhook_key)
    )


class Webhooks(Service):
    """Follows the decisions topic and the control topic as a member of the group `APP-webhook`."""

    def __init__(self, settings: Settings, receiver: Receiver, **options: Any) -> None:
        """`options` are those of aiokafka's consumer."""
        group = f"{settings.app_id}-webhook"
        self._settings = settings
        self._receiver = receiver
        self._lanes: dict[TopicPartition, Lane] = {}
        self._reading = Operation(f"reading what to tell {self._receiver.name}")
        self._reading_control = Operation(f"reading {settings.control_topic} for webhooks")
        self._committed_at = 0.0
        self._consumer = new_consumer(
            settings,
            group,
            fetch_max_wait_ms=int(settings.broker_fetch_wait * 1_000),
            session_timeout_ms=int(settings.broker_session_timeout * 1_000),
            heartbeat_interval_ms=int(settings.broker_heartbeat_interval * 1_000),
            max_poll_records=MAX_POLL_RECORDS,
            max_partition_fetch_bytes=MAX_FETCH_BYTES,
            **options,
        )
        self._positions = Positions(self._consumer, group)
        super().__init__()

    async def on_start(self) -> None:
        """Connect; raises `KafkaError`."""
        await self._consumer.start()

    async def on_stop(self) -> None:
        """Commit what was told, and leave the group."""
        await self.leave()
        await self._consumer.stop()
        await self._receiver.close()

    def troubles(self) -> list[str]:
        """Return which Kafka operations fail, and why; a receiver that is down does not count."""
        operations = [self._reading, self._reading_control]
        return [*troubles(operations), *self._positions.troubles()]

    def take_over(self, partitions: Collection[TopicPartition]) -> None:
        """Begin with partitions that are this worker's now."""
        if self.should_stop:
            return
        self._consumer.pause(*partitions)
        for tp in partitions:
            if lane := self._lane(tp):
                self._lanes[tp] = lane
                lane.task = asyncio.create_task(self._run(lane))
                lane.task.add_done_callback(self._ended)

    async def leave(self) -> None:
        """Tell nothing more of this worker's partitions, and commit what was told."""
        lanes, self._lanes = self._lanes, {}
        tasks = [lane.task for lane in lanes.values() if lane.task]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._positions.commit(lanes.values())

    def _lane(self, tp: TopicPartition) -> Lane | None:
        if tp.topic == self._settings.decisions_topic:
            return DecisionLane(tp, self._receiver, self._consumer.resume)
        if tp.partition == 0:
            return ControlLane(tp, self._receiver, self._settings, self._reading_control)
        return None  # whatever is there, nobody reads it

    async def _run(self, lane: Lane) -> None:
        start = await self._positions.begin(lane.tp)
        lane.committed = start
        self._consumer.seek(lane.tp, start)
        await lane.run(start)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (exc := task.exception()) is not None:
            self.add_future(self.crash(exc))

    async def _join(self) -> None:
        kinds = self._settings.webhook_kinds
        topics = [self._settings.decisions_topic] if "blocked" in kinds else []
        if kinds - {"blocked"}:
            topics.append(self._settings.control_topic)
        # A group is given no partitions of a topic that its leader does not know yet, for minutes.
        async for attempt in retry_forever(self._reading):
            with attempt:
                await load_metadata(self._consumer._client, topics)
        self._consumer.subscribe(topics, listener=_Assignments(self))

    @Service.task
    async def _follow(self) -> None:
        await self._join()
        while not self.should_stop:
            polled = await next_records(self, self._consumer, self._reading)
            for tp, records in (polled or {}).items():
                # Nothing waits between the poll and this, so these are of the lanes of now.
                lane = self._lanes.get(tp)
                if isinstance(lane, DecisionLane) and lane.done is not None:
                    self._give(lane, records)
            if monotonic() - self._committed_at >= COMMIT_SECONDS:
                await self._positions.commit(self._lanes.values())
                self._committed_at = monotonic()
            await asyncio.sleep(0)  # a poll that finds records waits for nothing

    def _give(self, lane: DecisionLane, records: Sequence[ConsumerRecord]) -> None:
        # A log that was cut is read from its beginning, and of that all was told.
        done = lane.done or 0
        events = events_of((each for each in records if each.offset >= done), self._settings)
        end = max(done, records[-1].offset + 1)
        if events:
            self._consumer.pause(lane.tp)
            lane.give(events, end)
        else:
            lane.done = end


class _Assignments(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells the service which partitions are its own."""

    def __init__(self, webhooks: Webhooks) -> None:
        self._webhooks = webhooks

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._webhooks.leave()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        self._webhooks.take_over(assigned)
