"""Follows the decisions topic from its end, for callers who wait on this worker.

Any worker may be asked about any transaction, and another worker may be the one that decides it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Final

from aiokafka import ConsumerRecord, TopicPartition
from mode import Service

from fraudapp.decisions.log_records import log_records
from fraudapp.decisions.recent import RecentDecisions, Unknowable
from fraudapp.decisions.waiters import DecisionWaiters
from fraudapp.kafka.clients import new_consumer
from fraudapp.kafka.following import next_records
from fraudapp.kafka.offsets import ends
from fraudapp.operation import Operation, PartitionReads, troubles
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings

FIND_ENDS_TIMEOUT: Final = 5.0
"""Seconds that the start waits for the ends of all partitions."""
_LOOK_BACK: Final = 2_000
"""Records before the end of each partition that a start reads: Postgres may lack them yet."""
_MAX_IDS: Final = 1 << 20
"""Ids remembered that Postgres lacks, of all partitions together: 16 MiB."""


class DecisionListener(Service):
    """Wakes callers who wait on this worker for a decision that another worker makes.

    It also remembers the offsets of decisions that Postgres may lack. It looks at record keys
    alone, which costs little, and decodes a decision only if a caller waits for it. Partitions of
    this worker are paused: the pipeline wakes their callers itself.
    """

    def __init__(self, settings: Settings, waiters: DecisionWaiters) -> None:
        self._waiters = waiters
        self._topic = settings.decisions_topic
        self._schema = settings.transaction_schema
        self._partitions = settings.topic_partitions
        self._reading = Operation(f"listening to {self._topic} for decisions of other workers")
        self._finding_ends = PartitionReads(self._topic, " to find its end")
        self._max_ids = _MAX_IDS // settings.topic_partitions  # of one partition
        self._recent: dict[int, RecentDecisions] = {}
        self._own: Collection[int] = ()
        self._changed: asyncio.Future[None] | None = None
        self._consumer = new_consumer(
            settings,
            auto_offset_reset="latest",
            fetch_max_wait_ms=int(settings.broker_fetch_wait * 1_000),
        )
        super().__init__()

    async def on_start(self) -> None:
        """Find the ends of all partitions, and read from a little before them.

        Waits at most `FIND_ENDS_TIMEOUT`. A partition without a leader follows once it has one.
        """
        await self._consumer.start()
        partitions = await self._consumer._client._wait_on_metadata(self._topic)
        assigned = [TopicPartition(self._topic, partition) for partition in partitions]
        self._consumer.assign(assigned)
        self._consumer.pause(*assigned)
        finding = [self.add_future(self._start_partition(tp)) for tp in assigned]
        await asyncio.wait(finding, timeout=FIND_ENDS_TIMEOUT)

    async def _start_partition(self, tp: TopicPartition) -> None:
        async for attempt in retry_forever(self._finding_ends[tp.partition]):
            with attempt:
                end = (await ends(self._consumer, [tp]))[tp].high_water
        start = max(0, end - _LOOK_BACK)
        self._consumer.seek(tp, start)
        self._recent[tp.partition] = RecentDecisions(start, self._max_ids)
        if tp.partition not in self._own:
            self._consumer.resume(tp)
        self.notify()

    def recent(self, partition: int) -> RecentDecisions:
        """Return the recent decisions of a partition, which go on changing.

        Those of this worker's own partitions end where it took them over: the index has the rest.
        Raises `Unknowable` until the end of the partition was found.
        """
        if partition not in self._recent:
            raise Unknowable("a partition of the log of decisions cannot be read; try again")
        return self._recent[partition]

    def troubles(self) -> list[str]:
        """Return a sentence for each read that fails, with the reason."""
        return troubles([self._reading, *self._finding_ends.values()])

    def on_assigned(self, next_offsets: Mapping[int, int], own: Collection[int]) -> None:
        """Pause the partitions that are this worker's `own` now, and follow all others.

        Called after each assignment. `next_offsets` are those of the indexes that this worker has
        or had: a partition that it has lost is followed from there.
        """
        self._own = own
        for tp in self._consumer.assignment():
            partition = tp.partition
            if partition in own:
                self._consumer.pause(tp)
            elif partition in self._recent and tp in self._consumer.paused():
                if partition in next_offsets:
                    self._consumer.seek(tp, next_offsets[partition])
                    self._recent[partition].restart(next_offsets[partition])
                self._consumer.resume(tp)
        self.notify()

    def forget_stored(self, stored: Mapping[int, int]) -> None:
        """Forget the decisions that Postgres has: of each partition, those before an offset.

        Called with each heartbeat.
        """
        for partition, offset in stored.items():
            if partition in self._recent:  # the transactions topic may have more partitions
                self._recent[partition].forget_stored(offset)
        self.notify()

    async def wait_for_change(self) -> None:
        """Wait for the next `tell`: more decisions may be known here then."""
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)

    def notify(self) -> None:
        """Wake all who wait for `news`; also called by the pipeline when it has decided."""
        if self._changed is not None:
            self._changed.set_result(None)
            self._changed = None

    @Service.task
    async def _listen(self) -> None:
        while not self.should_stop:
            records = await next_records(self, self._consumer, self._reading)
            if records is None:
                continue
            for tp, batch in records.items():
                self._add(tp.partition, batch)
            if self._changed is not None:
                await self._advance_ends()
                self.notify()

    async def _advance_ends(self) -> None:
        """Move the ends past offsets that hold no record, such as the markers of transactions."""
        for tp in self._consumer.assignment() - self._consumer.paused():
            recent = self._recent[tp.partition]
            recent.end = max(recent.end, await self._consumer.position(tp))

    def _add(self, partition: int, records: Sequence[ConsumerRecord]) -> None:
        keys = [record.key for record in records]
        self._recent[partition].add(keys, [record.offset for record in records])
        if self._waiters.has_waiters():
            awaited = [record for record in records if self._is_awaited(record.key)]
            found = log_records(awaited, self._partitions, self._schema)
            self._waiters.notify(each.decision for each in found)

    def _is_awaited(self, key: bytes | None) -> bool:
        # Anybody may write anything to a topic, so the key can be missing or be no UTF-8.
        return key is not None and self._waiters.is_awaited(key.decode(errors="replace"))

    async def on_stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()
