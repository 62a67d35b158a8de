"""Hears of the decisions of every worker, by reading the topic of decisions from its end."""

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

FINDING: Final = 5.0
"""Seconds that a start waits for the ends of all partitions."""
_LOOK_BACK: Final = 2_000
"""Records of each partition that are listened to anew at a start: the history may lack them yet."""
_REMEMBERED: Final = 1 << 20
"""Ids remembered that the history lacks, of all partitions together: 16 MiB."""


class DecisionListener(Service):
    """Wakes callers who wait on this worker for a decision that another one makes.

    It also remembers where in the log those are that the history may not have yet. Only keys are
    looked at, unless somebody waits for one: 1.4 us an event of the other workers. Of what this one
    decides its callers hear at once.
    """

    def __init__(self, settings: Settings, waiters: DecisionWaiters) -> None:
        self._waiters = waiters
        self._topic = settings.decisions_topic
        self._partitions = settings.topic_partitions
        self._listening = Operation(f"listening to {self._topic} for what other workers decide")
        self._finding = PartitionReads(self._topic, " to find its end")
        self._most = _REMEMBERED // settings.topic_partitions
        self._heard: dict[int, RecentDecisions] = {}
        self._own: Collection[int] = ()
        self._news: asyncio.Future[None] | None = None
        self._consumer = new_consumer(
            settings,
            auto_offset_reset="latest",
            fetch_max_wait_ms=int(settings.broker_fetch_wait * 1_000),
        )
        super().__init__()

    async def on_start(self) -> None:
        """Find the ends of the partitions: what is decided from a little before is heard.

        Of one that has no leader the end is found when it has.
        """
        await self._consumer.start()
        partitions = await self._consumer._client._wait_on_metadata(self._topic)
        assigned = [TopicPartition(self._topic, number) for number in partitions]
        self._consumer.assign(assigned)
        self._consumer.pause(*assigned)
        finding = [self.add_future(self._begin(partition)) for partition in assigned]
        await asyncio.wait(finding, timeout=FINDING)

    async def _begin(self, partition: TopicPartition) -> None:
        number = partition.partition
        async for attempt in retry_forever(self._finding[number]):
            with attempt:
                end = (await ends(self._consumer, [partition]))[partition].high_water
        start = max(0, end - _LOOK_BACK)
        self._consumer.seek(partition, start)
        self._heard[number] = RecentDecisions(start, self._most)
        if number not in self._own:
            self._consumer.resume(partition)
        self.tell()

    def heard(self, number: int) -> RecentDecisions:
        """Return what was heard of a partition; of an own one, only what was before it was so.

        Raises `Unknowable` while it has no leader.
        """
        if number not in self._heard:
            raise Unknowable("a partition of the log of decisions cannot be read; ask again")
        return self._heard[number]

    def troubles(self) -> list[str]:
        """What cannot be read, and why."""
        return troubles([self._listening, *self._finding.values()])

    def take_over(self, next_offsets: Mapping[int, int], own: Collection[int]) -> None:
        """Stop listening to the partitions that are this worker's own, and listen to all others.

        `next_offsets` are those up to which this worker knows partitions that were its own before.
        """
        self._own = own
        for partition in self._consumer.assignment():
            number = partition.partition
            if number in own:
                self._consumer.pause(partition)
            elif number in self._heard and partition in self._consumer.paused():
                if number in next_offsets:
                    self._consumer.seek(partition, next_offsets[number])
                    self._heard[number].restart(next_offsets[number])
                self._consumer.resume(partition)
        self.tell()

    def keep(self, stored: Mapping[int, int]) -> None:
        """Forget what the history has: each of these partitions up to an offset."""
        for number, offset in stored.items():
            if number in self._heard:  # the input may have more
                self._heard[number].keep(offset)
        self.tell()

    async def news(self) -> None:
        """Return once more may be known than now."""
        if self._news is None:
            self._news = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._news)

    def tell(self) -> None:
        """Let all go on who wait for news."""
        if self._news is not None:
            self._news.set_result(None)
            self._news = None

    @Service.task
    async def _listen(self) -> None:
        while not self.should_stop:
            records = await next_records(self, self._consumer, self._listening)
            if records is None:
                continue
            for partition, batch in records.items():
                self._hear(partition.partition, batch)
            if self._news is not None:
                await self._pass_over()
                self.tell()

    async def _pass_over(self) -> None:
        """Note that partitions were read past what is no record: the ends of transactions."""
        for partition in self._consumer.assignment() - self._consumer.paused():
            heard = self._heard[partition.partition]
            heard.end = max(heard.end, await self._consumer.position(partition))

    def _hear(self, number: int, records: Sequence[ConsumerRecord]) -> None:
        keys = [record.key for record in records]
        self._heard[number].add(keys, [record.offset for record in records])
        if self._waiters.anybody():
            expected = (record for record in records if self._expects(record.key))
            found = log_records(expected, self._partitions)
            self._waiters.notify(each.decision for each in found)

    def _expects(self, key: bytes | None) -> bool:
        # Anybody may write anything to a topic.
        return key is not None and self._waiters.expects(key.decode(errors="replace"))

    async def on_stop(self) -> None:
        """Leave the topic."""
        await self._consumer.stop()
