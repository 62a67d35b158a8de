"""Asks the broker about the decision log, for callers: where it ends, and what is at an offset."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any, Final

from mode import Service

from fraudapp.decisions.reader import LogReader
from fraudapp.kafka.offsets import End
from fraudapp.settings import Settings
from models.records import Decision

_LEAST_BYTES: Final = 1
"""Of a partition in an answer: one batch comes all the same, and no more is wanted."""


class LogQueries(Service):
    """Answers from the log itself, on a connection of its own: no long fetch is in the way."""

    def __init__(self, settings: Settings) -> None:
        self._reader = LogReader(settings, max_partition_fetch_bytes=_LEAST_BYTES)
        # Of each partition for itself: one without a leader is nothing to the others.
        self._turns: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._next: dict[int, asyncio.Task[End]] = {}
        super().__init__()

    async def on_start(self) -> None:
        """Connect; raises `KafkaError`."""
        await self._reader.start()

    async def on_stop(self) -> None:
        """Disconnect."""
        await self._reader.stop()

    async def end(self, number: int) -> End:
        """Return where a partition ends, asked no earlier than now; raises `KafkaError`.

        Whoever asks while an answer is on its way shares the next one.
        """
        if (asking := self._next.get(number)) is None:
            asking = self._next[number] = asyncio.create_task(self._ask(number))
            asking.add_done_callback(seen)
        return await asyncio.shield(asking)

    async def decision(self, number: int, offset: int) -> Decision | None:
        """Return the decision at an offset; None if there is none. Raises `KafkaError`."""
        if not self._reader.has_leader(number):
            # All partitions are read in one turn: whether this has one now is found out in its own.
            await self.end(number)
        found = await self._reader.record_at(number, offset)
        return found.decision if found else None

    async def _ask(self, number: int) -> End:
        async with self._turns[number]:
            del self._next[number]
            return (await self._reader.ends([number]))[number]


def seen(asking: asyncio.Future[Any]) -> None:
    """Take note of a failure, or asyncio complains where all who asked have gone."""
    if not asking.cancelled():
        asking.exception()
