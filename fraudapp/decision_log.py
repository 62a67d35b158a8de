"""The topic of decisions: the one truth about what was decided, which all else follows."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

from fraudapp.appender import Appender, NewRecord
from fraudapp.ledger import Ledger
from fraudapp.log_reader import LogReader
from fraudapp.patience import patiently
from fraudapp.settings import Settings
from fraudapp.stores.base import Batch

log = logging.getLogger(__name__)


class DecisionLog:
    """Appends decisions of the partitions this worker owns, and keeps a ledger of each."""

    def __init__(self, settings: Settings, appender: Appender) -> None:
        self._topic = settings.decisions_topic
        self._folder: Path = settings.data_dir / "ledger"
        self._reader = LogReader(settings)
        self._appender = appender
        self._ledgers: dict[int, Ledger] = {}
        self._read_in: dict[int, int] = {}
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Connect; raises `KafkaError`."""
        self._folder.mkdir(parents=True, exist_ok=True)
        await self._reader.start()

    async def close(self) -> None:
        """Disconnect, and close the ledgers."""
        await self._reader.stop()
        for ledger in self._ledgers.values():
            ledger.close()
        self._ledgers.clear()

    def ledger(self, number: int) -> Ledger | None:
        """Return the ledger of a partition, if it was opened here; it may be behind."""
        return self._ledgers.get(number)

    @property
    def cursors(self) -> dict[int, int]:
        """Offset up to which each partition that was opened here is known."""
        return {number: ledger.cursor for number, ledger in self._ledgers.items()}

    def settle(self) -> None:
        """Begin to write the ledgers to disk to which nothing came since the last call."""
        for number, ledger in self._ledgers.items():
            try:
                ledger.settle()
            except Exception as exc:  # rocksdict raises nothing more precise
                # No decision depends on it; the next one will, and then the worker ends.
                log.warning("the ledger of partition %d cannot be written: %s", number, exc)

    async def ready(self, number: int, generation: int) -> Ledger:
        """Return the ledger of a partition, with all that others wrote before this generation.

        `generation` is that of the consumer group: with each, somebody else may have written.
        Raises `LedgerInUse`.
        """
        if self.is_ready(number, generation):
            return self._ledgers[number]
        async with self._turn:
            if number not in self._ledgers:
                self._ledgers[number] = Ledger(self._folder / f"partition-{number}")
            ledger = self._ledgers[number]
            if not self.is_ready(number, generation):
                async for attempt in patiently(f"reading partition {number} of the decision log"):
                    with attempt:
                        await self._read_all(number, ledger)
                self._read_in[number] = generation
            return ledger

    def is_ready(self, number: int, generation: int) -> bool:
        """Whether `ready` returns at once."""
        return self._read_in.get(number) == generation

    async def append(self, number: int, batch: Batch, cursor: int) -> bool:
        """Write decisions on ids that the ledger did not have, and take them into it.

        `cursor` is where the ledger was when they were looked up. Returns once the broker has them
        all, however long that takes; some may then be in the log twice. True if nobody else has
        written since; if not, the ledger has taken what came first, and has to be asked again. It
        may not know them at all: what others wrote was noticed before anything was. At most one
        call at a time for each partition.
        """
        ledger = self._ledgers[number]
        start = ledger.cursor
        if start != cursor:
            return False
        new: Iterator[NewRecord] = zip(batch.keys, batch.encoded, repeat([]), strict=False)
        offsets = await self._appender.append(self._topic, number, new, "publishing decisions")
        end = start + len(offsets)
        # The ledger may have been brought up to date meanwhile, past what others have written.
        if ledger.cursor == start and offsets == list(range(start, end)):
            ledger.extend(batch)
            return True
        async for attempt in patiently(f"reading partition {number} of the decision log"):
            with attempt:
                await self._catch_up(number, max(offsets) + 1)
        return False

    async def _read_all(self, number: int, ledger: Ledger) -> None:
        end = await self._reader.end(number)
        if ledger.cursor > end:
            log.warning(
                "partition %d of the decision log ends at %d, before what was read of it (%d): "
                "the ledger is made anew from the log",
                *(number, end, ledger.cursor),
            )
            ledger.clear()
        await self._catch_up(number, end)

    async def _catch_up(self, number: int, end: int) -> None:
        ledger = self._ledgers[number]
        missing = end - ledger.cursor
        if missing <= 0:
            return
        async for records in self._reader.read(number, ledger.cursor, end):
            ledger.apply(records, records[-1].offset + 1)
        ledger.apply([], end)
        log.info("read %d records of partition %d of the decision log", missing, number)
