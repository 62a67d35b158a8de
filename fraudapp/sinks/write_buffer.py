"""The write buffer: decisions on their way from the pipeline to one sink, bounded.

Its bounds are what keeps a slow sink from filling the memory of a worker.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from fraudapp.condition import Condition
from fraudapp.decisions.batch import Batch

MAX_DECISIONS: Final = 16_000
"""Decisions in the write buffer of a sink, at most, unless a single batch has more."""
MAX_BYTES: Final = 16_000_000
"""Bytes of their JSON, at most, unless a single batch has more: ordinary decisions fill less."""


class BufferedBatch(NamedTuple):
    """Decisions that one partition of the log has before the offset `end`."""

    partition: int
    end: int
    batch: Batch


class WriteBuffer:
    """First in, first out. Batches that are being saved count as held until they are `done`.

    Only `wait_for_capacity` waits.
    """

    def __init__(self) -> None:
        self._waiting: deque[BufferedBatch] = deque()
        self._count = 0  # decisions that wait, kept because every batch asks for it
        self._held = 0  # decisions that wait or are being saved
        self._bytes = 0  # of JSON, of the decisions held
        self._condition = Condition()

    def __len__(self) -> int:
        """Decisions that wait, without those being saved."""
        return self._count

    def enqueue(self, buffered: BufferedBatch) -> bool:
        """Add a batch if it fits, and return whether it did."""
        if not self._fits(buffered.batch):
            return False
        self._waiting.append(buffered)
        self._count += len(buffered.batch.decisions)
        self._held += len(buffered.batch.decisions)
        self._bytes += buffered.batch.size
        return True

    def take(self, max_decisions: int) -> Sequence[BufferedBatch]:
        """Take out the next batches, of `max_decisions` at most, or a single larger batch.

        They count as held until the caller passes them to `done`.
        """
        taken: list[BufferedBatch] = []
        count = 0
        while self._waiting and (
            not taken or count + len(self._waiting[0].batch.decisions) <= max_decisions
        ):
            taken.append(self._waiting.popleft())
            count += len(taken[-1].batch.decisions)
        self._count -= count
        return taken

    def done(self, taken: Sequence[BufferedBatch]) -> None:
        """Free the capacity of batches that were taken."""
        self._held -= sum(len(each.batch.decisions) for each in taken)
        self._bytes -= sum(each.batch.size for each in taken)
        self._condition.notify()

    def clear(self) -> None:
        """Drop the batches that wait; those being saved are still held."""
        self.done(self.take(self._held))

    async def wait_for_capacity(self, batch: Batch, timeout: float) -> None:
        """Return once a batch fits, or after `timeout` seconds."""
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
