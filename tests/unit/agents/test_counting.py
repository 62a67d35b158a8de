"""What lanes are done with is counted once, in its order, whatever comes meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from agents.counting import MOST, Counting, Done, by_partition
from models.counts import Counted


def done(number: int, offset: int, records: int = 1) -> Done:
    return Done(number, [], [Counted(offset, "duplicate")], offset, records)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50)), max_size=30))
def test_every_partition_has_all_that_is_counted_and_its_last_offset(
    batches: list[tuple[int, int]],
) -> None:
    found = by_partition([done(*each) for each in batches])
    assert found.keys() == {number for number, _ in batches}
    for number, (counted, offset) in found.items():
        offsets = [each for partition, each in batches if partition == number]
        assert [each.offset for each in counted] == offsets
        assert offset == max(offsets)


async def test_what_comes_while_counting_is_the_next_lot_and_there_is_a_limit_to_it() -> None:
    lots: list[list[int]] = []
    gate = asyncio.Event()

    async def count(taken: Sequence[Done]) -> None:
        lots.append([each.offset for each in taken])
        await gate.wait()

    counting = Counting(count)
    await counting.put(done(0, 0, MOST - 1))
    while not lots:
        await asyncio.sleep(0)
    await counting.put(done(0, 1))
    waiting = asyncio.create_task(counting.put(done(1, 2)))
    await asyncio.sleep(0)
    assert not waiting.done()
    gate.set()
    await waiting
    while sum(map(len, lots)) < 3:
        await asyncio.sleep(0)
    assert lots[0] == [0]
    assert [offset for lot in lots for offset in lot] == [0, 1, 2]
    counting.work.cancel()
