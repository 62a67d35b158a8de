"""Tables with a value for each input partition, of which every worker has all: global tables.

In RocksDB, backed by a changelog topic. The worker that owns a partition writes its value.
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
from fraudapp.kafka.foreign_records import passed_over
from fraudapp.kafka.record_batch import RawSchema
from fraudapp.kafka.topic_configs import BROKERS_CLOCK
from fraudapp.operation import Operation, troubles
from fraudapp.process import open_files
from fraudapp.process.disk import DiskFull
from fraudapp.retry import retry_forever
from fraudapp.settings import Settings
from models.parsing import UNREADABLE
from tables.repair import repair
from tables.rocksdb_store import PatientStore

_decode_key: Final = msgspec.json.Decoder(Annotated[int, msgspec.Meta(ge=0, lt=2**31)]).decode
Value = TypeVar("Value", bound=msgspec.Struct)


class DeliveredTable(GlobalTable):
    """A global table whose changes can be waited for until the changelog topic has them.

    Faust sends them at some later time, and may commit the input before: a crash in between loses
    the change.
    """

    def __init__(
        self,
        *args: Any,
        settings: Settings,
        value_struct: type[msgspec.Struct],
        **kwargs: Any,
    ) -> None:
        """`value_struct` is what values have to be; anything else is passed over."""
        super().__init__(*args, **kwargs)
        self._settings = settings
        self._decode_value = msgspec.json.Decoder(value_struct).decode
        # By partition: the newest key and value, those the topic has, and what is on its way there.
        self._newest: dict[int, tuple[Any, Any]] = {}
        self._there: dict[int, tuple[Any, Any]] = {}
        self._on_its_way: dict[int, FutureMessage] = {}
        self.delivering: dict[int, Operation] = {}
        """Whether the changelog topic takes what is waited for, by partition."""
        self.recovered = False
        """Whether the whole changelog was read since the start; then what is new is heard of."""

    async def on_start(self) -> None:
        """Start with what is on disk, but for what would keep the worker from ever starting."""
        await super().on_start()
        topic = self.changelog_topic_name
        partitions = [TP(topic, number) for number in range(self._settings.topic_partitions)]
        store = cast(PatientStore, self.data)
        async for attempt in retry_forever(f"asking where {topic} ends"):
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
        """See `Collection.apply_changelog_batch`; what we did not write is passed over."""
        last: dict[TP, int] = {}
        ours = []
        for event in batch:
            message = event.message
            last[message.tp] = message.offset
            if wrong := self._what_is_wrong(message):
                passed_over(message.topic, message.partition, message.offset, wrong)
            else:
                ours.append(event)
        super().apply_changelog_batch(ours)
        for tp, offset in last.items():
            self.data.set_persisted_offset(tp, offset)

    def _new_store_by_url(self, url: Any) -> StoreT[Any, Any]:
        return PatientStore(
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
        """Do nothing: the input may have more partitions than we keep values for."""

    def _what_is_wrong(self, message: Message) -> str | None:
        try:
            self._check(message.partition, message.key or b"", message.value or b"")
        except UNREADABLE as exc:
            return str(exc)
        return None

    def _check(self, partition: int, key: bytes, value: bytes) -> None:
        """Raise what is wrong with an entry that no worker can have written."""
        if _decode_key(key) != partition:
            raise msgspec.ValidationError("its key is another partition")
        self._decode_value(value)

    def _new_changelog_topic(self, **kwargs: Any) -> TopicT:
        topic = super()._new_changelog_topic(**kwargs)
        # Read as it is: at what it cannot decode Faust's recovery would stop for ever.
        topic.schema = RawSchema(key_serializer="json", value_serializer="json")
        return topic

    def send_changelog(self, partition: Any, key: Any, value: Any, *args: Any) -> FutureMessage:
        """See `Collection.send_changelog`; while one is on its way, a change is not sent yet.

        Were there two that a partition does not take, Faust's producer would wait for room with
        those of all others, and end the worker when its time is over.
        """
        self._newest[partition] = key, value
        return self._on_its_way.get(partition) or self._send(partition)

    def _send(self, partition: int) -> FutureMessage:
        change = self._newest[partition]
        message = self._on_its_way[partition] = super().send_changelog(partition, *change)

        def ended(message: asyncio.Future[Any]) -> None:
            del self._on_its_way[partition]
            if message.exception() is None:
                self._there[partition] = change

        message.add_done_callback(ended)
        return message

    async def delivered(self, partition: int) -> None:
        """Return once the changelog topic has the newest value of a partition; tried until then."""
        if partition not in self.delivering:
            what = f"writing partition {partition} of {self.changelog_topic_name}"
            self.delivering[partition] = Operation(what, needs="WRITE")
        async for attempt in retry_forever(self.delivering[partition]):
            with attempt:
                while self._there.get(partition) is not self._newest.get(partition):
                    message = self._on_its_way.get(partition) or self._send(partition)
                    await asyncio.wait([message])  # which is not cancelled with whoever waits
                    message.result()


class ByPartition(Generic[Value]):
    """Values of one type by input partition, in a table of that name."""

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
        """Every partition with its value, as far as this worker has heard."""
        self._tables.recovery.flush_buffers()
        for partition, value in self._table.items():
            yield int(partition), self._converted(value)

    @property
    def recovered(self) -> bool:
        """Whether every value was heard of that there was at the start."""
        return self._table.recovered

    def write(self, partition: int, value: Value) -> None:
        """Set the value of a partition; see `delivered`."""
        # Faust finds the partition by the current event, which micro-batches and timers lack.
        event = _Event(self._topic, partition)
        token = _current_event.set(weakref.ref(cast(Any, event)))
        try:
            self._table[partition] = msgspec.to_builtins(value, str_keys=True)
        finally:
            _current_event.reset(token)

    @property
    def trouble(self) -> str | None:
        """Why the table is held in memory, if its disk does not take it."""
        return cast(PatientStore, self._table.data).writing.trouble()

    def troubles(self) -> list[str]:
        """What its changelog topic does not take, and why."""
        return troubles(self._table.delivering.values())

    async def delivered(self, partition: int) -> None:
        """Return once the changelog topic has what was written of a partition."""
        await self._table.delivered(partition)

    def _converted(self, value: Any) -> Value:
        return msgspec.convert(value, self._type, str_keys=True)


class _Event:
    """As much of an event as Faust's tables ask for: the partition that is written to."""

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
        # With a *recovery* buffer of 1 the table is corrupted (4,903 of 30,000, measured).
        standby_buffer_size=1,
        # For each partition, whose one value is written again and again: RocksDB keeps every
        # version until its buffer is full. Faust's defaults are 64 MB, and a cache of 2 GiB.
        options={
            "block_cache_size": 1 << 20,
            "write_buffer_size": 256 << 10,
            "max_open_files": open_files.LEAST,
        },
    )
