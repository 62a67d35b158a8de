"""The counts of every partition: in RocksDB, backed by a changelog topic.

A global table: every worker holds the counts of the whole cluster.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Iterable, Mapping
from types import SimpleNamespace
from typing import Any, Final, NamedTuple, cast

import msgspec
from faust.streams import _current_event
from faust.tables.globaltable import GlobalTable
from faust.tables.manager import TableManager
from faust.types import FutureMessage

from fraudapp.app import app, settings
from models.counts import Counted, Counts, Totals, total


class DeliveredTable(GlobalTable):
    """A global table whose changes can be waited for until the changelog topic has them.

    Faust sends them at some later time, and may commit the input before: a crash in between loses
    the change.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._undelivered: list[FutureMessage] = []

    def send_changelog(self, *args: Any, **kwargs: Any) -> FutureMessage:
        """See `Collection.send_changelog`."""
        message = super().send_changelog(*args, **kwargs)
        self._undelivered.append(message)
        return message

    async def delivered(self) -> None:
        """Return once the changelog topic has every change made so far."""
        undelivered, self._undelivered = self._undelivered, []
        await asyncio.gather(*undelivered)


decision_counts: Final = cast(
    DeliveredTable,
    app.tables.add(
        DeliveredTable(
            app,
            name="decision-counts",
            help="Counts of decisions, duplicates and dead letters, by partition.",
            beacon=app.tables.beacon,
            key_type=int,
            is_global=True,
            # Larger buffers hide the latest changes of other workers; `totals` flushes the rest.
            # With a *recovery* buffer of 1 the table is corrupted (4,903 of 30,000, measured).
            standby_buffer_size=1,
            # RocksDB's default is a cache of 2 GiB, for each partition.
            options={"block_cache_size": 8 << 20, "write_buffer_size": 4 << 20},
        )
    ),
)


class Progress(NamedTuple):
    """What became of inputs of one partition."""

    inputs: Iterable[Counted]
    offset: int
    """The last of them."""
    decisions: Mapping[str, int]
    """Totals by outcome, from the ledger."""


class OwnCounts:
    """Writes the counts of the partitions this worker owns.

    The value is read from the table when a partition is taken over, and kept in memory from then
    on: a worker that was paused and does not know yet that its partitions have gone may still write
    an old value into the table. `refresh` writes over it.
    """

    def __init__(self) -> None:
        self._taken_over: dict[int, int] = {}
        self._counts: dict[int, Counts] = {}

    async def add(self, generation: int, progress: Mapping[int, Progress]) -> None:
        """Count inputs, by partition; returns once the changelog topic has the counts."""
        for partition, (inputs, offset, decisions) in progress.items():
            if self._taken_over.get(partition) != generation:
                self._counts[partition] = _read(partition)
                self._taken_over[partition] = generation
            counts = self._counts[partition].plus(inputs, offset=offset, decisions=decisions)
            self._counts[partition] = counts
            _write(partition, counts)
        await decision_counts.delivered()

    async def refresh(self, generation: int, decisions: Mapping[int, Mapping[str, int]]) -> None:
        """Write the counts of these partitions again, with these totals of their ledgers."""
        unchanged = {number: Progress((), -1, totals) for number, totals in decisions.items()}
        await self.add(generation, unchanged)


def totals() -> Totals:
    """Counts of the whole cluster, as far as this worker has heard."""
    cast(TableManager, app.tables).recovery.flush_buffers()
    return total(
        {
            int(partition): msgspec.convert(value, Counts)
            for partition, value in decision_counts.items()
        }
    )


class _Event:
    """As much of an event as Faust's tables ask for: the partition that is written to."""

    def __init__(self, partition: int) -> None:
        self.message = SimpleNamespace(topic=settings.transactions_topic, partition=partition)


def _read(partition: int) -> Counts:
    value = decision_counts.get(partition)
    return Counts() if value is None else msgspec.convert(value, Counts)


def _write(partition: int, counts: Counts) -> None:
    # Faust finds the partition by the current event, which micro-batches and timers do not have.
    event = _Event(partition)
    token = _current_event.set(weakref.ref(cast(Any, event)))
    try:
        decision_counts[partition] = msgspec.to_builtins(counts)
    finally:
        _current_event.reset(token)
