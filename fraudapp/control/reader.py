"""Reads the control topic from its beginning, record by record."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from aiokafka import ConsumerRecord, TopicPartition

from fraudapp.kafka.clients import new_consumer
from fraudapp.kafka.foreign_records import report_foreign_record
from fraudapp.kafka.offsets import ends
from fraudapp.settings import Settings
from models.control.records import ControlRecord, InvalidRecord, read
from models.errors import NeedsOperator

MAX_POLL_RECORDS: Final = 500
"""Records that are taken in without a pause: some milliseconds."""
_POLL_MS: Final = 1_000


class RecordsLost(NeedsOperator):
    """The topic is shorter than it was: a broker has lost some of its last records."""

    def __init__(self, topic: str, before: int, now: int) -> None:
        """It was read up to the offset `before`, and is now read again from `now` on."""
        super().__init__(
            f"topic {topic} was read up to offset {before}, and ends before it now: a broker has "
            f"lost records, so that it has to be read again from {now} on. Start this worker again,"
            " and check the policy and the lists that are in force then"
        )


class ControlReader:
    """Reads the one partition of the topic, with records that are not committed.

    Somebody who leaves a transaction open there must not hide policies from workers. Every method
    raises `KafkaError`, and those that read `RecordsLost`.
    """

    def __init__(self, settings: Settings) -> None:
        self.partition: Final = TopicPartition(settings.control_topic, 0)
        self.next_offset = 0
        """Of the next record to read."""
        self.consumer = new_consumer(
            settings,
            isolation_level="read_uncommitted",
            fetch_max_wait_ms=int(settings.broker_fetch_wait * 1_000),
            max_partition_fetch_bytes=8 << 20,
            max_poll_records=MAX_POLL_RECORDS,
        )
        # A broker answers the requests of a connection in turn. On the connection that waits for
        # new records, it would tell the end of the topic only when that wait is over.
        self._end_consumer = new_consumer(settings)

    async def start(self) -> None:
        """Connect."""
        await self._end_consumer.start()
        await self.consumer.start()
        self.consumer.assign([self.partition])

    async def stop(self) -> None:
        """Disconnect."""
        await self.consumer.stop()
        await self._end_consumer.stop()

    async def end(self) -> int:
        """Return the offset that the next record to be written will get."""
        return (await ends(self._end_consumer, [self.partition]))[self.partition].high_water

    async def more(self) -> list[ControlRecord]:
        """Return the next records, once there are any, or none after a second."""
        fetched = await self.consumer.getmany(timeout_ms=_POLL_MS)
        return await self.taken(fetched.get(self.partition, ()))

    async def taken(self, raw: Any) -> list[ControlRecord]:
        """Return the control records among those that the consumer has returned last."""
        position: int = await self.consumer.position(self.partition)
        # aiokafka begins anew, in silence, when the offset of the next record is past the end.
        again = min(raw[0].offset if raw else position, position)
        if again < self.next_offset:
            raise RecordsLost(self.partition.topic, self.next_offset, again)
        self.next_offset = position
        return [record for each in raw if (record := _record(each))]

    async def read_to(self, end: int, take: Callable[[ControlRecord], Any]) -> None:
        """Call `take` with each record before an offset, and perhaps some after it."""
        while self.next_offset < end:
            for record in await self.more():
                take(record)


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[ControlReader]:
    """Start a reader for the body of `async with`; raises `KafkaError`."""
    reader = ControlReader(settings)
    try:
        await reader.start()
        yield reader
    finally:
        await reader.stop()


async def read_all(settings: Settings, take: Callable[[ControlRecord], Any]) -> None:
    """Call `take` with each record that is in the topic now; raises `KafkaError`."""
    async with reading(settings) as reader:
        await reader.read_to(await reader.end(), take)


def _record(raw: ConsumerRecord) -> ControlRecord | None:
    try:
        return read(raw.offset, raw.timestamp, raw.key, raw.value, raw.headers)
    except InvalidRecord as exc:
        report_foreign_record(raw.topic, raw.partition, raw.offset, exc)
        return None
