"""Questions to the broker about the decision log, for callers over HTTP.

They ask where a partition ends, and which decision is at an offset.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any, Final

from mode import Service

from fraudapp.decisions.reader import LogReader
from fraudapp.kafka.offsets import End
from fraudapp.settings import Settings
from models.records import Decision

_FETCH_BYTES: Final = 1
"""Bytes of a partition that a fetch asks for: the broker sends one batch at least, and no more."""


class LogQueries(Service):
    """Answers questions from the log, on a connection that no long fetch of others occupies."""

    def __init__(self, settings: Settings) -> None:
        self._reader = LogReader(settings, max_partition_fetch_bytes=_FETCH_BYTES)
        # One lock for each partition, so that a partition without a leader holds up no other.
        self._locks: defaultdict[int, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._next: dict[int, asyncio.Task[End]] = {}  # questions that wait for their lock
        super().__init__()

    async def on_start(self) -> None:
        """Connect; raises `KafkaError`."""
        await self._reader.start()

    async def on_stop(self) -> None:
        """Disconnect."""
        await self._reader.stop()

    async def end(self, partition: int) -> End:
        """Return where a partition ends, asked no earlier than now; raises `KafkaError`.

        Callers who ask while an answer is on its way share the next answer.
        """
        if (asking := self._next.get(partition)) is None:
            asking = self._next[partition] = asyncio.create_task(self._ask(partition))
            asking.add_done_callback(retrieve_exception)
        return await asyncio.shield(asking)

    async def decision(self, partition: int, offset: int) -> Decision | None:
        """Return the decision at an offset; None if there is none. Raises `KafkaError`."""
        if not self._reader.has_leader(partition):
            # The reader reads one partition at a time. Here, the wait for a leader is under the
            # lock of this partition alone.
            await self.end(partition)
        found = await self._reader.record_at(partition, offset)
        return found.decision if found else None

    async def _ask(self, partition: int) -> End:
        async with self._locks[partition]:
            # From here on the question is asked: later callers need a later answer.
            del self._next[partition]
            return (await self._reader.ends([partition]))[partition]


def retrieve_exception(task: asyncio.Future[Any]) -> None:
    """Retrieve the exception of a task that nobody may await any more.

    Without it, asyncio logs the exception as one that was never retrieved.
    """
    if not task.cancelled():
        task.exception()
