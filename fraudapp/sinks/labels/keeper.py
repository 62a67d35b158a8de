"""Brings the labelled topic into one store, at the pace of that store.

The workers share the partitions as a consumer group. An offset is committed once everything before
it is kept. So each record is kept at least once, whatever is down meanwhile, and a store that is
down holds up nothing but itself.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from time import monotonic
from typing import Any, Final

from aiokafka import ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.structs import OffsetAndMetadata
from mode import Service

from fraudapp.kafka.clients import new_consumer
from fraudapp.kafka.following import next_records
from fraudapp.kafka.foreign_records import report_foreign_record
from fraudapp.kafka.last_records import CHECK_SECONDS, LastRecord, last_record, lost
from fraudapp.kafka.offsets import load_metadata, within_time
from fraudapp.labels.ending import end
from fraudapp.labels.records import LabelledRecord, labelled_records
from fraudapp.operation import Operation, troubles
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings
from fraudapp.sinks.base import DecisionRejected, SinkUnavailable
from fraudapp.sinks.labels.store import LabelStore, unpurged
from fraudapp.sinks.progress import Progress

log = logging.getLogger(__name__)

MAX_POLL_RECORDS: Final = 200
"""Records that are decoded without a pause: some milliseconds."""
MAX_FETCH_BYTES: Final = 256 << 10
"""Bytes that are fetched of a partition at a time."""
MAX_BATCH_BYTES: Final = 8 << 20
"""Bytes of records after which no more are gathered, however long they may wait."""
MAX_POLL_INTERVAL_MS: Final = 2**31 - 1
"""Milliseconds that the store may be down, and the group stay as it is: 24 days."""


class LabelKeeper(Service):
    """Follows the labelled topic as a member of the group `APP-labels-STORE`."""

    def __init__(
        self, settings: Settings, store: LabelStore, progress: Progress, **options: Any
    ) -> None:
        """`progress` knows what was purged; `options` are those of aiokafka's consumer."""
        self.store = store
        self._settings = settings
        self._progress = progress
        self._reading = Operation(f"reading {settings.labelled_topic} for {store.name}")
        self._keeping = Operation(f"keeping labels in {store.name}, which wait in their topic")
        self._committing = Operation(f"committing what {store.name} has of the labels")
        self._kept: dict[TopicPartition, LastRecord] = {}  # up to which all is in the store
        self._committed: dict[TopicPartition, LastRecord] = {}
        self._check_at = 0.0
        self._running: asyncio.Future[None] | None = None
        self._consumer = new_consumer(
            settings,
            f"{settings.app_id}-labels-{store.name}",
            fetch_max_wait_ms=int(settings.broker_fetch_wait * 1_000),
            session_timeout_ms=int(settings.broker_session_timeout * 1_000),
            heartbeat_interval_ms=int(settings.broker_heartbeat_interval * 1_000),
            max_poll_interval_ms=MAX_POLL_INTERVAL_MS,
            max_poll_records=MAX_POLL_RECORDS,
            max_partition_fetch_bytes=MAX_FETCH_BYTES,
            **options,
        )
        super().__init__()

    async def on_start(self) -> None:
        """Connect to the broker; the store may be down. Raises `KafkaError`."""
        await self._consumer.start()
        self._running = self.add_future(self._run())

    async def on_stop(self) -> None:
        """Commit what is kept, leave the group, and close the store."""
        if self._running:  # on a failed start there may be none
            await end([self._running])  # it must not find the store closed below it
        await self._commit()
        await self._consumer.stop()
        await self.store.close()

    def troubles(self) -> list[str]:
        """Return which Kafka operations fail, and why; a store that is down does not count."""
        return troubles([self._reading, self._committing])

    async def forget(self) -> None:
        """Commit what is kept of the partitions that are this member's no longer."""
        await self._commit()
        self._kept, self._committed, self._check_at = {}, {}, 0.0

    async def _run(self) -> None:
        async for attempt in retry_forever(self._reading):
            with attempt:
                # A group is given no partitions of a topic that its leader does not know yet.
                await load_metadata(self._consumer._client, [self._settings.labelled_topic])
                await self._progress.current()
        await self._retry(self.store.open)
        self._consumer.subscribe([self._settings.labelled_topic], listener=_Assignments(self))
        while not self.should_stop:
            records, last = await self._gather()
            await self._keep(records)
            self._kept |= last
            await self._commit()

    async def _gather(self) -> tuple[list[LabelledRecord], Mapping[TopicPartition, LastRecord]]:
        """Return the next records, and the last ones, once they need not wait for more."""
        records: list[LabelledRecord] = []
        last: dict[TopicPartition, LastRecord] = {}
        since, size = monotonic(), 0
        while not self.should_stop:
            polled = dict(await next_records(self, self._consumer, self._reading) or {})
            if monotonic() >= self._check_at:
                for tp in await self._lost():
                    for found in (polled, last, self._kept):
                        found.pop(tp, None)
            if polled and not last:
                since = monotonic()
            for tp, raw in polled.items():
                records += self._decoded(raw)
                last[tp] = last_record(raw[-1])
                size += sum(len(each.value or b"") for each in raw)
            is_full = len(records) >= self.store.max_batch or size >= MAX_BATCH_BYTES
            if is_full or monotonic() - since >= self.store.linger:
                break
            await asyncio.sleep(0)  # a poll that finds records waits for nothing
        return records, last

    async def _lost(self) -> list[TopicPartition]:
        """Return partitions that have lost what was kept of them; they are read anew from now on.

        Called before anything is committed of a partition that this member is given.
        """
        found: list[TopicPartition] = []
        async for attempt in retry_forever(self._reading):
            with attempt:
                found = [tp for tp in sorted(self._consumer.assignment()) if await self._is_cut(tp)]
        for tp in found:
            self._consumer.seek(tp, 0)
        self._check_at = monotonic() + CHECK_SECONDS
        return found

    async def _is_cut(self, tp: TopicPartition) -> bool:
        if not (last := self._kept.get(tp)):
            commits = await within_time(self._consumer._coordinator.fetch_committed_offsets([tp]))
            last = _of_commit(commits.get(tp))
        if last is None:
            return False
        how = await lost(self._consumer, tp.topic, {tp.partition: last})
        if how:
            log.warning("%s: the broker has lost its end, so that all of it is kept again", how)
        return bool(how)

    def _decoded(self, raw: Sequence[ConsumerRecord]) -> list[LabelledRecord]:
        settings = self._settings
        return labelled_records(raw, settings.topic_partitions, settings.transaction_schema)

    async def _keep(self, records: Sequence[LabelledRecord]) -> None:
        """Keep records, those aside that the store will never take; retries until it succeeds."""
        if not records:
            return
        try:
            await self._retry(partial(self._keep_unpurged, records))
        except DecisionRejected as exc:
            if len(records) == 1:
                (record,) = records
                topic = self._settings.labelled_topic
                report_foreign_record(topic, record.partition, record.offset, exc)
                return
            half = len(records) // 2
            await self._keep(records[:half])
            await self._keep(records[half:])

    async def _keep_unpurged(self, records: Sequence[LabelledRecord]) -> None:
        # Asked at each attempt: there may be a purge while the store is down.
        if kept := unpurged(records, self._progress.purged(self.store.name)):
            await self.store.keep(kept)

    async def _retry(self, action: Callable[[], Awaitable[None]]) -> None:
        async for attempt in retry_forever(self._keeping, on=SinkUnavailable):
            with attempt:
                await action()

    async def _commit(self) -> None:
        """Commit what is kept; a failure is noted, and the next commit makes up for it.

        All before these offsets is kept, whoever has read it, so none of them is too late. One that
        is too early, after other members had the partition, lets some records be kept again.
        """
        assigned = self._consumer.assignment()
        kept = {
            tp: last
            for tp, last in self._kept.items()
            if tp in assigned and self._committed.get(tp) != last
        }
        if not kept:
            return
        offsets = {
            tp: OffsetAndMetadata(last.next_offset, last.digest.hex()) for tp, last in kept.items()
        }
        try:
            await within_time(self._consumer.commit(offsets))
        except KafkaError as exc:
            self._committing.failed(exc)
            return
        self._committing.succeeded()
        self._committed |= kept


def _of_commit(commit: OffsetAndMetadata | None) -> LastRecord | None:
    """Return what `_commit` has committed; None for what somebody else has."""
    try:
        digest = bytes.fromhex(commit.metadata) if commit else b""
    except ValueError:
        return None
    return LastRecord(commit.offset - 1, digest) if commit and digest else None


class _Assignments(ConsumerRebalanceListener):  # type: ignore[misc]
    """Tells the service when its partitions become others."""

    def __init__(self, keeper: LabelKeeper) -> None:
        self._keeper = keeper

    async def on_partitions_revoked(self, revoked: Collection[TopicPartition]) -> None:
        await self._keeper.forget()

    async def on_partitions_assigned(self, assigned: Collection[TopicPartition]) -> None:
        pass
