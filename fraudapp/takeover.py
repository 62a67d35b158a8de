"""Takes over the partitions of each assignment, as soon as their decision indexes are read."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from time import monotonic
from typing import Any, Final, NamedTuple

SETTLING_TIMEOUT: Final = 1.0
"""Seconds after an assignment for which batches wait until the progress of the sinks is known.

Decisions that are made before have to be read from the log again, once for each sink.
"""
INDEX_READ_TIMEOUT: Final = 5.0
"""Seconds in which most indexes are read; then those that are ready are taken over first."""


class Assignment(NamedTuple):
    """The partitions that this worker owns in a generation of the consumer group."""

    generation: int
    partitions: Sequence[int]


class Takeover:
    """Follows the assignments of this worker; each takes the place of the one before."""

    def __init__(
        self,
        ready: Callable[[int, int], Awaitable[Any]],
        take_over: Callable[[Assignment], Awaitable[None]],
        *,
        ended: Callable[[asyncio.Task[None]], None],
    ) -> None:
        """`ready` returns once the index of a partition is read, for a partition and generation.

        `take_over` is then called with all partitions that are ready, again whenever there are
        more. `ended` is called with the task of each assignment when it ends.
        """
        self.current = Assignment(-1, [])
        """Partitions whose index is read, and which the sink writers follow."""
        self.assigned: Sequence[int] = ()
        """All partitions of the last assignment."""
        self._ready = ready
        self._take_over = take_over
        self._ended = ended
        self._settling: asyncio.Task[None] | None = None
        self._assigned_at = 0.0

    def begin(self, assignment: Assignment) -> None:
        """Take these partitions over from now on, and no others; does not block."""
        self.cancel()
        self.assigned = assignment.partitions
        self._settling = asyncio.create_task(self._settle(assignment))
        self._settling.add_done_callback(self._ended)
        self._assigned_at = monotonic()

    def cancel(self) -> None:
        """Take over no further partition of the last assignment."""
        if self._settling:
            self._settling.cancel()

    async def settled(self) -> None:
        """Wait until all of the last assignment is taken over, up to `SETTLING_TIMEOUT` after it.

        The progress of the sinks is known then.
        """
        if self._settling and not self._settling.done():
            left = self._assigned_at + SETTLING_TIMEOUT - monotonic()
            await asyncio.wait([self._settling], timeout=max(0.0, left))

    async def _settle(self, assignment: Assignment) -> None:
        generation, partitions = assignment
        reads = {
            asyncio.ensure_future(self._ready(partition, generation)): partition
            for partition in partitions
        }
        pending = set(reads)
        try:
            if pending:
                await asyncio.wait(pending, timeout=INDEX_READ_TIMEOUT)
            while True:
                # A partition that takes longer, or has no leader, is taken over when it is ready.
                done = {task for task in reads if task.done()}
                for task in done:
                    task.result()
                self.current = Assignment(generation, sorted(reads[task] for task in done))
                await self._take_over(self.current)
                if not (pending := reads.keys() - done):
                    return
                await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in pending:
                task.cancel()
