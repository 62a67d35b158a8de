"""Decisions on their way from the pipeline to one sink: a bounded queue."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from fraudapp.condition import Condition
from fraudapp.decisions.batch import Batch

MAX_DECISIONS: Final = 16_000
"""Decisions held in memory for a sink, at most, unless a single batch has more."""
MAX_BYTES: Final = 16_000_000
"""Bytes of their JSON, at most, unless a single batch has more; ordinary decisions fill 9 MB."""


class BufferedBatch(NamedTuple):
    """Decisions of one partition, up to an offset of the log."""

    number: int
    end: int
    batch: Batch


class WriteBuffer:
    """First in, first out; what is being saved counts as held until it is `done`."""

    def __init__(self) -> None:
        self._waiting: deque[BufferedBatch] = deque()
        self._count = 0  # of decisions in them: asked for with every batch
        self._held = 0
        self._bytes = 0
        self._condition = Condition()

    def __len__(self) -> int:
        """Decisions that wait; not those being saved."""
        return self._count

    def enqueue(self, buffered: BufferedBatch) -> bool:
        """Add a batch if it fits, and tell whether it did."""
        if not self._fits(buffered.batch):
            return False
        self._waiting.append(buffered)
        self._count += len(buffered.batch.decisions)
        self._held += len(buffered.batch.decisions)
        self._bytes += buffered.batch.size
        return True

    def take(self, most: int) -> Sequence[BufferedBatch]:
        """Take out the next batches: of so many decisions at most, or a single larger one."""
        taken: list[BufferedBatch] = []
        count = 0
        while self._waiting and (
            not taken or count + len(self._waiting[0].batch.decisions) <= most
        ):
            taken.append(self._waiting.popleft())
            count += len(taken[-1].batch.decisions)
        self._count -= count
        return taken

    def done(self, taken: Sequence[BufferedBatch]) -> None:
        """Make room for as many as were taken."""
        self._held -= sum(len(each.batch.decisions) for each in taken)
        self._bytes -= sum(each.batch.size for each in taken)
        self._condition.notify()

    def clear(self) -> None:
        """Let go of what waits."""
        self.done(self.take(self._held))

    async def wait_for_capacity(self, batch: Batch, timeout: float) -> None:
        """Return once it fits, or after `timeout` seconds."""
        if not self._fits(batch):
            with suppress(asyncio.TimeoutError):
                fits = self._condition.wait_for(lambda: self._fits(batch))
                await asyncio.wait_for(fits, timeout)

    def _fits(self, batch: Batch) -> bool:
        within = (
            self._held + len(batch.decisions) <= MAX_DECISIONS
            and self._bytes + batch.size <= MAX_BYTES
        )
        return within or not self._held
