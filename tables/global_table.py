"""Global tables with one value for each input partition, whose changes can be waited for.

They are in RocksDB, backed by a changelog topic. The owner of a partition writes its value, and
every worker has a copy of all values.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable, Iterator
from types import SimpleNamespace
from typing import Annotated, Any, Final, Generic, TypeVar, cast

import msgspec
from faust import App
from faust.streams import _current_event
from faust.tables.globaltable import GlobalTable
from faust.tables.manager import TableManager
from faust.types import TP, EventT, FutureMessage, Message, StoreT, TopicT

from fraudapp.kafka.clients import end_offsets
from fraudapp.kafka.foreign_records import report_foreign_record
from fraudapp.kafka.record_batch import RawSchema
from fraudapp.kafka.topic_configs import BROKERS_CLOCK
from fraudapp.operation import Operation, troubles
from fraudapp.process import open_files
from fraudapp.process.disk import DiskFull
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings
from models.parsing import UNREADABLE
from tables.repair import repair
from tables.rocksdb_store import RetryingStore

_decode_key: Final = msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=0, lt=2**31)]).decode
Value = TypeVar("Value", bound=msgspec.Struct)


class DeliveredTable(GlobalTable):
    """A global table in which a writer can wait until the changelog topic has a change.

    Faust itself sends changes later, and may commit the offset of the input before: a crash in
    between would lose the change.
    """

    def __init__(
        self,
        *args: Any,
        settings: Settings,
        value_struct: type[msgspec.Struct],
        **kwargs: Any,
    ) -> None:
        """`value_struct` is the type of all values; records with other values are skipped."""
        super().__init__(*args, **kwargs)
        self._settings = settings
        self._decode_value = msgspec.json.Decoder(value_struct).decode
        # By partition: the newest key and value, those acknowledged, and the record in flight.
        self._newest: dict[int, tuple[Any, Any]] = {}
        self._acknowledged: dict[int, tuple[Any, Any]] = {}
        self._in_flight: dict[int, FutureMessage] = {}
        self.delivering: dict[int, Operation] = {}
        """The state of each partition's writing to the changelog topic, by partition."""
        self.recovered = False
        """Whether the changelog was read to its end after the start; since then it is followed."""

    async def on_start(self) -> None:
        """Repair the store, so that no damaged data keeps the worker from starting; then start."""
        await super().on_start()
        topic = self.changelog_topic_name
        partitions = [TP(topic, partition) for partition in range(self._settings.topic_partitions)]
        store = cast(RetryingStore, self.data)
        async for attempt in retry_forever(f"looking up the end of {topic}"):
            with attempt:
                ends = await end_offsets(self._settings, partitions)
        async for attempt in retry_forever(store.writing, on=DiskFull):
            with attempt:
                await repair(store, partitions, ends, self._check)

    async def on_recovery_completed(self, *args: Any, **kwargs: Any) -> None:
        """See `Collection.on_recovery_completed`."""
        await super().on_recovery_completed(*args, **kwargs)
        self.recovered = True

    def apply_changelog_batch(self, batch: Iterable[EventT[Any]]) -> None:
        """See `Collection.apply_changelog_batch`; skips records that no worker can have written."""
        last: dict[TP, int] = {}
        ours = []
        for event in batch:
            message = event.message
            last[message.tp] = message.offset
            if wrong := self._what_is_wrong(message):
                report_foreign_record(message.topic, message.partition, message.offset, wrong)
            else:
                ours.append(event)
        super().apply_changelog_batch(ours)
        for tp, offset in last.items():
            self.data.set_persisted_offset(tp, offset)

    def _new_store_by_url(self, url: Any) -> StoreT[Any, Any]:
        return RetryingStore(
            url,
            self.app,
            self,
            table_name=self.name,
            key_type=self.key_type,
            key_serializer=self.key_serializer,
            value_serializer=self.value_serializer,
            value_type=self.value_type,
            loop=self.loop,
            options=self.options,
        )

    def _verify_source_topic_partitions(self, source_topic: str) -> None:
        """Do nothing: the input topic may have more partitions than the table has values for."""

    def _what_is_wrong(self, message: Message) -> str | None:
        try:
            self._check(message.partition, message.key or b"", message.value or b"")
        except UNREADABLE as exc:
            return str(exc)
        return None

    def _check(self, partition: int, key: bytes, value: bytes) -> None:
        """Raise one of `UNREADABLE` for an entry that no worker can have written."""
        if _decode_key(key) != partition:
            raise msgspec.ValidationError("its key is another partition")
        self._decode_value(value)

    def _new_changelog_topic(self, **kwargs: Any) -> TopicT:
        topic = super()._new_changelog_topic(**kwargs)
        # Records are read undecoded: Faust's recovery would hang at one that it cannot decode.
        topic.schema = RawSchema(key_serializer="json", value_serializer="json")
        return topic

    def send_changelog(self, partition: Any, key: Any, value: Any, *args: Any) -> FutureMessage:
        """See `Collection.send_changelog`; at most one change of a partition is in flight.

        If a partition does not take its records, several in flight would fill the buffer of Faust's
        producer, which then blocks the records of all other partitions and ends the worker after a
        timeout.
        """
        self._newest[partition] = key, value
        return self._in_flight.get(partition) or self._send(partition)

    def _send(self, partition: int) -> FutureMessage:
        change = self._newest[partition]
        message = self._in_flight[partition] = super().send_changelog(partition, *change)

        def ended(message: asyncio.Future[Any]) -> None:
            del self._in_flight[partition]
            if message.exception() is None:
                self._acknowledged[partition] = change
                if self._newest[partition] is not change and not self.should_stop:
                    self._send(partition)  # it was written while this one was in flight

        message.add_done_callback(ended)
        return message

    async def delivered(self, partition: int) -> None:
        """Return once the changelog topic has the newest value of a partition; retries for ever."""
        if partition not in self.delivering:
            what = f"writing partition {partition} of {self.changelog_topic_name}"
            self.delivering[partition] = Operation(what, needs="WRITE")
        async for attempt in retry_forever(self.delivering[partition]):
            with attempt:
                while self._acknowledged.get(partition) is not self._newest.get(partition):
                    message = self._in_flight.get(partition) or self._send(partition)
                    await asyncio.wait([message])  # unlike `await message`, does not cancel it
                    message.result()


class ByPartition(Generic[Value]):
    """One value for each input partition, in a global table; a typed view of `DeliveredTable`."""

    def __init__(
        self, app: App, settings: Settings, name: str, *, value: type[Value], help: str
    ) -> None:
        self._tables: Final = cast(TableManager, app.tables)
        self._topic: Final = settings.transactions_topic
        self._type: Final = value
        table = _new_table(app, settings, name, value, help)
        self._table: Final = cast(DeliveredTable, self._tables.add(table))

    def get(self, partition: int) -> Value | None:
        """Return the value of a partition; None if nothing was written yet."""
        value = self._table.get(partition)
        return None if value is None else self._converted(value)

    def items(self) -> Iterator[tuple[int, Value]]:
        """Yield every partition with its value, as far as this worker has read the changelog."""
        self._tables.recovery.flush_buffers()
        for partition, value in self._table.items():
            yield int(partition), self._converted(value)

    @property
    def recovered(self) -> bool:
        """Whether every value that existed at the start was read."""
        return self._table.recovered

    def write(self, partition: int, value: Value) -> None:
        """Set the value of a partition without waiting for the changelog topic; see `delivered`."""
        # Faust takes the partition from the current event, which batches and timers do not have.
        event = _Event(self._topic, partition)
        token = _current_event.set(weakref.ref(cast(Any, event)))
        try:
            self._table[partition] = msgspec.to_builtins(value, str_keys=True)
        finally:
            _current_event.reset(token)

    @property
    def trouble(self) -> str | None:
        """Why values are held in memory instead of on disk; None if they are on disk."""
        return cast(RetryingStore, self._table.data).writing.trouble()

    def troubles(self) -> list[str]:
        """Return what cannot be written to the changelog topic, and why."""
        return troubles(self._table.delivering.values())

    async def delivered(self, partition: int) -> None:
        """Return once the changelog topic has the last value written for a partition."""
        await self._table.delivered(partition)

    def _converted(self, value: Any) -> Value:
        return msgspec.convert(value, self._type, str_keys=True)


class _Event:
    """The part of an event that Faust's tables read: the partition that is written to."""

    def __init__(self, topic: str, partition: int) -> None:
        self.message = SimpleNamespace(topic=topic, partition=partition)


def _new_table(
    app: App, settings: Settings, name: str, value: type[msgspec.Struct], meaning: str
) -> DeliveredTable:
    return DeliveredTable(
        app,
        settings=settings,
        value_struct=value,
        name=name,
        help=meaning,
        beacon=app.tables.beacon,
        key_type=int,
        is_global=True,
        extra_topic_configs=BROKERS_CLOCK,
        # Larger buffers hide the latest changes of other workers; `items` flushes the rest.
        # The *recovery* buffer keeps its default: with a size of 1 the table is corrupted.
        standby_buffer_size=1,
        # Each partition has a database with one value that is written again and again. RocksDB
        # keeps every version until the write buffer is full, so a small buffer is enough. Faust's
        # defaults are 64 MB, and a cache of 2 GiB.
        options={
            "block_cache_size": 1 << 20,
            "write_buffer_size": 256 << 10,
            "max_open_files": open_files.MIN_DATABASE_FILES,
        },
    )
