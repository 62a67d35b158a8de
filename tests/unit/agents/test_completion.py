"""What lanes are done with is counted once, in its order, whatever comes meanwhile."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from agents.completion import MOST, Counting, Done
from models.counts import Counted


def done(number: int, offset: int, records: int = 1) -> Done:
    return Done(number, [], [Counted(offset, "duplicate")], offset, records)


class Counts:
    """Counts of which the test says what the broker takes."""

    def __init__(self) -> None:
        self.lots: dict[int, list[list[int]]] = defaultdict(list)
        self.gates: dict[int, asyncio.Event] = defaultdict(asyncio.Event)
        self.failures: list[BaseException | None] = []
        self.counting = Counting(self._count, ended=self._ended)

    async def until(self, number: int, *offsets: int) -> None:
        while [offset for lot in self.lots[number] for offset in lot] != [*offsets]:
            await asyncio.sleep(0)

    async def _count(self, number: int, taken: Sequence[Done]) -> None:
        assert {each.number for each in taken} == {number}
        self.lots[number].append([each.offset for each in taken])
        await self.gates[number].wait()

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled():
            self.failures.append(task.exception())


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=20))
async def test_every_partition_has_all_that_is_counted_in_its_order(
    batches: list[tuple[int, int]],
) -> None:
    counts = Counts()
    for each in batches:
        counts.gates[each[0]].set()
        await counts.counting.put(done(*each))
    for number in range(4):
        await counts.until(number, *(offset for of, offset in batches if of == number))
    counts.counting.work.cancel()


async def test_what_comes_while_counting_is_the_next_lot_and_there_is_a_limit_to_it() -> None:
    counts = Counts()
    await counts.counting.put(done(0, 0, MOST - 1))
    await counts.until(0, 0)
    await counts.counting.put(done(0, 1))
    waiting = asyncio.create_task(counts.counting.put(done(0, 2)))
    await asyncio.sleep(0)
    assert not waiting.done()
    counts.gates[0].set()
    await waiting
    await counts.until(0, 0, 1, 2)
    assert counts.lots[0][0] == [0]
    counts.counting.work.cancel()


async def test_a_partition_whose_counts_are_not_taken_holds_up_no_other() -> None:
    counts = Counts()
    counts.gates[1].set()
    for number in range(2):
        await counts.counting.put(done(number, 0, MOST))
    await counts.until(0, 0)
    await counts.until(1, 0)
    await asyncio.wait_for(counts.counting.put(done(1, 1)), 5)
    await asyncio.wait_for(counts.until(1, 0, 1), 5)
    counts.counting.work.cancel()


async def test_what_cannot_be_counted_is_told_and_nothing_of_its_partition_follows() -> None:
    counts = Counts()
    counts.gates[0].set()
    counts.lots[0] = None  # type: ignore[assignment]
    for offset in range(2):
        await counts.counting.put(done(0, offset))
    while not counts.failures:
        await asyncio.sleep(0)
    await counts.counting.put(done(0, 2))
    await counts.counting.put(done(1, 0))
    await counts.until(1, 0)
    assert [type(each) for each in counts.failures] == [AttributeError]
    counts.counting.work.cancel()
