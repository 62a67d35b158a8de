"""Follows the labelled topic, of all partitions, into a store on this worker's disk."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from time import monotonic
from typing import Any, Final, Generic, Protocol, TypeVar

from aiokafka import ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaError
from mode import Service

from fraudapp.condition import Condition
from fraudapp.decisions.log_identity import LogIdentity
from fraudapp.kafka.clients import new_consumer
from fraudapp.kafka.following import POLL_MS
from fraudapp.kafka.last_records import (
    CHECK_SECONDS,
    LastRecord,
    last_record,
    lost,
    next_offsets,
)
from fraudapp.kafka.offsets import within_time
from fraudapp.kafka.topic_ids import wait_for_topic_ids
from fraudapp.labels.database import DATABASE_FAILED, DatabaseDamaged, write_when_possible
from fraudapp.labels.ending import end
from fraudapp.labels.records import LabelledRecord, labelled_records
from fraudapp.operation import Operation, troubles
from fraudapp.process.disk import DiskFull
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings

log = logging.getLogger(__name__)

MAX_POLL_RECORDS: Final = 200
"""Records that are taken in without a pause: some milliseconds."""
IDLE_POLLS: Final = 10
"""Polls without a record after which the store is flushed."""
FULL_SECONDS: Final = 0.2
"""Seconds after which a store that had no room is asked again."""
ALL_PARTITIONS: Final = -1
"""The number of the partition in the identity of what is made of all of them."""


class LabelledStore(Protocol):
    """What is made of the labelled topic; its methods raise `DiskFull` or `DatabaseDamaged`."""

    def next_offset(self, partition: int) -> int:
        """Return the offset of the first record of a partition that is not applied."""

    def last(self) -> Mapping[int, LastRecord]:
        """Return the last record of each partition that was read."""

    def apply(self, records: Sequence[LabelledRecord], last: Mapping[int, LastRecord]) -> None:
        """Apply records, of each partition in their order, and keep which was the last, at once."""

    def has_room(self) -> bool:
        """Whether more records may be applied now; the topic keeps the others meanwhile."""

    def flush(self) -> None:
        """Begin to write to disk what was applied."""

    def clear(self) -> None:
        """Begin anew, from offset 0 of each partition; raises one of `DATABASE_FAILED`."""

    def close(self) -> None:
        """Close it; raises nothing."""


Store = TypeVar("Store", bound=LabelledStore)


class _Cut(KafkaError):  # type: ignore[misc]
    """The topic has lost what was read of it."""


class LabelledFollower(Service, Generic[Store]):
    """Brings all that is in the labelled topic into a store, each record at least once.

    The store is opened, and the topic read, as soon as disk and broker allow it; until then
    `troubles` says why not. Whoever has a store of its own follows the topic by another one.
    """

    def __init__(
        self, settings: Settings, purpose: str, open_store: Callable[[LogIdentity], Store]
    ) -> None:
        """`open_store` opens the store, given what it is made of; `purpose` is for messages.

        It raises one of `DATABASE_FAILED`.
        """
        self.store: Store | None = None
        """None while it is not open."""
        self.has_caught_up = False
        """Whether the store has once had all of the topic, since it was opened or made anew."""
        self._settings = settings
        self._open_store = open_store
        self._partitions = [
            TopicPartition(settings.labelled_topic, each)
            for each in range(settings.topic_partitions)
        ]
        self._following = Operation(f"following {settings.labelled_topic} {purpose}")
        self._identity = LogIdentity(settings.app_id, settings.labelled_topic, ALL_PARTITIONS)
        self._read: dict[int, int] = {}  # next offset by partition
        self._changed = Condition()
        self._failure: Exception | None = None
        self._check_at = 0.0
        self._running: asyncio.Future[None] | None = None
        self._consumer = new_consumer(
            settings,
            fetch_max_wait_ms=int(settings.broker_fetch_wait * 1_000),
            max_poll_records=MAX_POLL_RECORDS,
        )
        super().__init__()

    async def on_start(self) -> None:
        """Connect, and begin to follow the topic; raises `KafkaError`."""
        await self._consumer.start()
        topic = self._settings.labelled_topic
        found = await wait_for_topic_ids(self._consumer._client, [topic])
        self._identity = LogIdentity(
            self._settings.app_id, topic, ALL_PARTITIONS, topic_id=found[topic]
        )
        self._consumer.assign(self._partitions)
        self._running = self.add_future(self._run())

    async def on_stop(self) -> None:
        """Disconnect, and close the store."""
        if self._running:  # on a failed start there may be none
            await end([self._running])
        self._close()
        await self._consumer.stop()

    def troubles(self) -> list[str]:
        """Return why the topic cannot be followed; an empty list if it can."""
        return troubles([self._following])

    def lag(self) -> int | None:
        """Return how many records were not read yet; None if that is not known yet."""
        if self.store is None:
            return None
        high_waters: list[Any] = [self._consumer.highwater(tp) for tp in self._partitions]
        if None in high_waters:
            return None
        read = [self._read.get(tp.partition, 0) for tp in self._partitions]
        return sum(max(0, int(end) - at) for end, at in zip(high_waters, read, strict=True))

    async def read_to(self, partition: int, offset: int) -> None:
        """Return once all records of a partition before an offset are in the store."""
        await self._changed.wait_for(lambda: self._read.get(partition, 0) >= offset)

    def repair(self, exc: DatabaseDamaged) -> None:
        """Make the store anew, soon; called by all who have met damage in it."""
        self._failure = exc

    def begin_again(self) -> None:
        """Read from the next offsets of the store on, which are others now."""
        self._failure = KafkaError("the store has gone back")

    def check_soon(self) -> None:
        """Ask soon whether the topic still has what was read of it."""
        self._check_at = 0.0

    async def _run(self) -> None:
        async for attempt in retry_forever(self._following, on=(KafkaError, *DATABASE_FAILED)):
            with attempt:
                await self._follow()

    async def _follow(self) -> None:
        self._failure, idle = None, 0
        try:
            if self.store is None:
                self.store, self.has_caught_up = self._open_store(self._identity), False
            await self._begin(self.store)
            while self._failure is None:
                if not self.store.has_room():
                    await asyncio.sleep(FULL_SECONDS)
                    continue
                if monotonic() >= self._check_at and (how := await self._lost(self.store)):
                    raise _Cut(how)
                fetched = await self._consumer.getmany(timeout_ms=POLL_MS)
                began = monotonic()
                await self._take(self.store, fetched)
                self.has_caught_up = self.has_caught_up or self.lag() == 0
                self._following.succeeded()
                idle = 0 if fetched else idle + 1
                if idle == IDLE_POLLS:
                    self.store.flush()
                # While much is read, decisions are to have half of the time at least.
                await asyncio.sleep(monotonic() - began if fetched else 0)
            raise self._failure
        except DatabaseDamaged as exc:
            log.warning("%s: it is made anew", exc)
            if store := self.store:
                self.store, self.has_caught_up = None, False
                store.clear()
                self.store = store
            raise
        except DiskFull as exc:
            if not exc.heals:
                self._close()
            raise

    async def _begin(self, store: Store) -> None:
        if how := await self._lost(store):
            log.warning("%s: the broker has lost its end, so that all of it is read again", how)
            self.has_caught_up = False
            store.clear()
        self._read = {tp.partition: store.next_offset(tp.partition) for tp in self._partitions}
        for tp in self._partitions:
            self._consumer.seek(tp, self._read[tp.partition])
        self._changed.notify()

    async def _lost(self, store: Store) -> str | None:
        how = await lost(self._consumer, self._settings.labelled_topic, store.last())
        self._check_at = monotonic() + CHECK_SECONDS
        return how

    async def _take(
        self, store: Store, fetched: Mapping[TopicPartition, Sequence[ConsumerRecord]]
    ) -> None:
        found: list[LabelledRecord] = []
        last: dict[int, LastRecord] = {}
        for tp, raw in fetched.items():
            if raw[0].offset < self._read[tp.partition]:
                raise _Cut(f"{tp.topic}/{tp.partition} was cut to less than was read of it")
            last[tp.partition] = last_record(raw[-1])
            found += labelled_records(
                raw, self._settings.topic_partitions, self._settings.transaction_schema
            )
        if last:
            await write_when_possible(lambda: store.apply(found, last))
            self._read |= next_offsets(last)
        await self._pass_markers()
        self._changed.notify()

    async def _pass_markers(self) -> None:
        """Move on past offsets that hold no record, such as the markers of transactions."""
        for tp in self._partitions:
            read = self._read[tp.partition]
            if (self._consumer.highwater(tp) or 0) > read:
                position = await within_time(self._consumer.position(tp))
                self._read[tp.partition] = max(read, position)

    def _close(self) -> None:
        if self.store:
            self.store.close()
        self.store = None
