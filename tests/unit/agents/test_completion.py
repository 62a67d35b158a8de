"""Appended batches are completed once and in order, whatever arrives meanwhile."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.completion import MAX_UNCOUNTED, Appended, Completion
from models.counts import Counted


def appended(partition: int, offset: int, records: int = 1) -> Appended:
    return Appended(partition, [], [Counted(offset, "duplicate")], offset, records)


class Flushes:
    """Flushes of which the test says what the broker takes."""

    def __init__(self) -> None:
        self.done: dict[int, list[list[int]]] = defaultdict(list)
        self.gates: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self.failures: list[BaseException | None] = []
        self.completion = Completion(self._complete, ended=self._ended)
        self.running = asyncio.create_task(self.completion.run())

    async def until(self, partition: int, *offsets: int) -> None:
        while [offset for flush in self.done[partition] for offset in flush] != [*offsets]:
            await asyncio.sleep(0)

    async def _complete(self, partition: int, taken: Sequence[Appended]) -> None:
        assert {each.partition for each in taken} == {partition}
        self.done[partition].append([each.offset for each in taken])
        await self.gates[partition].wait()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled():
            self.failures.append(task.exception())


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=20))
async def test_each_partition_is_flushed_in_order_and_completely(
    batches: list[tuple[int, int]],
) -> None:
    flushes = Flushes()
    for each in batches:
        flushes.gates[each[0]].set()
        await flushes.completion.put(appended(*each))
    for partition in range(4):
        await flushes.until(partition, *(offset for of, offset in batches if of == partition))
    flushes.running.cancel()


async def test_batches_put_during_a_flush_go_into_the_next_one_up_to_a_limit() -> None:
    flushes = Flushes()
    await flushes.completion.put(appended(0, 0, MAX_UNCOUNTED - 1))
    await flushes.until(0, 0)
    await flushes.completion.put(appended(0, 1))
    waiting = asyncio.create_task(flushes.completion.put(appended(0, 2)))
    await asyncio.sleep(0)
    assert not waiting.done()
    flushes.gates[0].set()
    await waiting
    await flushes.until(0, 0, 1, 2)
    assert flushes.done[0][0] == [0]
    flushes.running.cancel()


async def test_a_partition_whose_counts_are_not_written_holds_up_no_other() -> None:
    flushes = Flushes()
    flushes.gates[1].set()
    for partition in range(2):
        await flushes.completion.put(appended(partition, 0, MAX_UNCOUNTED))
    await flushes.until(0, 0)
    await flushes.until(1, 0)
    await asyncio.wait_for(flushes.completion.put(appended(1, 1)), 5)
    await asyncio.wait_for(flushes.until(1, 0, 1), 5)
    flushes.running.cancel()


async def test_a_failed_flush_is_reported_and_stops_its_partition() -> None:
    flushes = Flushes()
    flushes.gates[0].set()
    flushes.done[0] = None  # type: ignore[assignment]
    for offset in range(2):
        await flushes.completion.put(appended(0, offset))
    while not flushes.failures:
        await asyncio.sleep(0)
    await flushes.completion.put(appended(0, 2))
    await flushes.completion.put(appended(1, 0))
    await flushes.until(1, 0)
    assert [type(each) for each in flushes.failures] == [AttributeError]
    flushes.running.cancel()
