"""Tables with a value for each input partition, of which every worker has all: global tables.

In RocksDB, backed by a changelog topic. The worker that owns a partition writes its value.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, Final, Generic, TypeVar, cast

import msgspec
from faust.stores.rocksdb import Store
from faust.streams import _current_event
from faust.tables.globaltable import GlobalTable
from faust.tables.manager import TableManager
from faust.types import TP, FutureMessage

from fraudapp.app import app, settings
from fraudapp.kafka_clients import end_offsets
from tables.mending import mend

Value = TypeVar("Value", bound=msgspec.Struct)


class DeliveredTable(GlobalTable):
    """A global table whose changes can be waited for until the changelog topic has them.

    Faust sends them at some later time, and may commit the input before: a crash in between loses
    the change.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._undelivered: list[FutureMessage] = []

    async def on_start(self) -> None:
        """Start with what is on disk, but for what would keep the worker from ever starting."""
        await super().on_start()
        topic = self.changelog_topic_name
        partitions = [TP(topic, number) for number in range(settings.topic_partitions)]
        store = cast(Store, self.data)
        await mend(store, partitions, await end_offsets(settings, partitions))

    def send_changelog(self, *args: Any, **kwargs: Any) -> FutureMessage:
        """See `Collection.send_changelog`."""
        message = super().send_changelog(*args, **kwargs)
        self._undelivered.append(message)
        return message

    async def delivered(self) -> None:
        """Return once the changelog topic has every change made so far."""
        undelivered, self._undelivered = self._undelivered, []
        await asyncio.gather(*undelivered)


class ByPartition(Generic[Value]):
    """Values of one type by input partition, in a table of that name."""

    def __init__(self, name: str, *, value: type[Value], help: str) -> None:
        self._type: Final = value
        self._table: Final = cast(DeliveredTable, app.tables.add(_new_table(name, help)))

    def get(self, partition: int) -> Value | None:
        """Return the value of a partition; None if nothing was written yet."""
        value = self._table.get(partition)
        return None if value is None else self._converted(value)

    def items(self) -> Iterator[tuple[int, Value]]:
        """Every partition with its value, as far as this worker has heard."""
        cast(TableManager, app.tables).recovery.flush_buffers()
        for partition, value in self._table.items():
            yield int(partition), self._converted(value)

    def write(self, partition: int, value: Value) -> None:
        """Set the value of a partition; see `delivered`."""
        # Faust finds the partition by the current event, which micro-batches and timers lack.
        event = _Event(partition)
        token = _current_event.set(weakref.ref(cast(Any, event)))
        try:
            self._table[partition] = msgspec.to_builtins(value, str_keys=True)
        finally:
            _current_event.reset(token)

    async def delivered(self) -> None:
        """Return once the changelog topic has everything written so far."""
        await self._table.delivered()

    def _converted(self, value: Any) -> Value:
        return msgspec.convert(value, self._type, str_keys=True)


class _Event:
    """As much of an event as Faust's tables ask for: the partition that is written to."""

    def __init__(self, partition: int) -> None:
        self.message = SimpleNamespace(topic=settings.transactions_topic, partition=partition)


def _new_table(name: str, meaning: str) -> DeliveredTable:
    return DeliveredTable(
        app,
        name=name,
        help=meaning,
        beacon=app.tables.beacon,
        key_type=int,
        is_global=True,
        # Larger buffers hide the latest changes of other workers; `items` flushes the rest.
        # With a *recovery* buffer of 1 the table is corrupted (4,903 of 30,000, measured).
        standby_buffer_size=1,
        # For each partition, whose one value is written again and again: RocksDB keeps every
        # version until its buffer is full. Faust's defaults are 64 MB, and a cache of 2 GiB.
        options={"block_cache_size": 1 << 20, "write_buffer_size": 256 << 10},
    )
