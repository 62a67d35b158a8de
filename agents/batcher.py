"""Makes batches of what waits in the lanes, and takes each of them the whole way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from time import perf_counter
from typing import Any, Generic, Protocol, TypeVar

from agents.batch_sizer import Pace
from agents.partition_queues import Events, Lanes, number_of, records_in


class OfPartition(Protocol):
    """What a batch holds of one partition, once it is decided."""

    number: int


S = TypeVar("S", bound=OfPartition)


class Batches(Generic[S]):
    """One batch after the other is begun, without waiting for the end of those on their way.

    Each partition is in one of them at most, and free for the next as soon as its own share is
    kept: what the others of the batch wait for is nothing to it.
    """

    def __init__(
        self,
        lanes: Lanes,
        pace: Pace,
        *,
        decide: Callable[[Sequence[Events]], Awaitable[Sequence[S]]],
        keep: Callable[[S], Awaitable[None]],
        ready: Callable[[int], bool],
        ended: Callable[[asyncio.Task[Any]], None],
    ) -> None:
        """`decide` returns what there is to keep of a batch, by partition; the rest is left.

        A partition that is not `ready` would make others wait, so it goes alone. `ended` is called
        with the task of each batch when it ends: one that failed has left its partitions busy.
        """
        self._lanes = lanes
        self._pace = pace
        self._decide = decide
        self._keep = keep
        self._ready = ready
        self._ended = ended
        self._on_their_way: set[asyncio.Task[None]] = set()

    async def make(self) -> None:
        """Make batches for ever."""
        while True:
            for batch in self._apart(await self._lanes.take()):
                task = asyncio.create_task(self._process(batch))
                self._on_their_way.add(task)
                task.add_done_callback(self._on_their_way.discard)
                task.add_done_callback(self._ended)

    def _apart(self, taken: Sequence[Events]) -> Iterator[Sequence[Events]]:
        together: list[Events] = []
        for events in taken:
            if self._ready(number_of(events)):
                together.append(events)
            else:
                yield [events]
        if together:
            yield together

    async def _process(self, batch: Sequence[Events]) -> None:
        started = perf_counter()
        shares = await self._decide(batch)
        records = {number_of(events): records_in(events) for events in batch}
        for number in records.keys() - {share.number for share in shares}:
            self._lanes.free(number)
        await asyncio.gather(*map(self._finish, shares))
        # What was left took no time, of which nothing can be learned.
        self._pace.observe(sum(records[each.number] for each in shares), perf_counter() - started)

    async def _finish(self, share: S) -> None:
        await self._keep(share)
        self._lanes.free(share.number)
