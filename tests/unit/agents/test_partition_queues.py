"""What waits is taken together, in order, once, and never while its partition is busy."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.batch_sizer import SMALLEST, Pace
from agents.partition_queues import LARGEST_BATCH, LARGEST_WAIT, TURNS, Lanes, number_of, records_in
from tests.unit.agents.runs import name_of, run


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def _smallest() -> Pace:
    pace = Pace(1.0)
    for _ in range(100):
        pace.observe(SMALLEST, 1_000.0)
    assert pace.size == SMALLEST
    return pace


async def test_runs_of_several_partitions_that_come_close_behind_are_one_batch() -> None:
    lanes = Lanes(Pace(0.05))
    taking = asyncio.create_task(lanes.take())
    for number in [3, 1, 2, 1]:
        lanes.put(run(number))
        await _turns(TURNS - 2)
    assert {number_of(events): len(events) for events in await taking} == {3: 1, 1: 2, 2: 1}


async def test_nobody_waits_for_what_has_not_come() -> None:
    lanes = Lanes(Pace(0.05))
    taking = asyncio.create_task(lanes.take())
    lanes.put(run(0))
    await _turns(4 * TURNS)
    assert taking.done()


async def test_a_full_batch_waits_for_no_more() -> None:
    lanes = Lanes(_smallest())
    taking = asyncio.create_task(lanes.take())
    lanes.put(run(0, SMALLEST))
    await _turns(3)
    assert taking.done()


async def test_a_busy_partition_waits_and_holds_up_no_other() -> None:
    lanes = Lanes(Pace(0.05))
    lanes.put(run(0))
    await lanes.take()
    lanes.put(run(0))
    lanes.put(run(1))
    assert [number_of(events) for events in await lanes.take()] == [1]
    lanes.free(0)
    assert [number_of(events) for events in await lanes.take()] == [0]


async def test_a_lane_is_served_before_those_that_were_served_already() -> None:
    lanes = Lanes(_smallest())
    for number in [0, 1, 2]:
        lanes.put(run(number, SMALLEST))
    for turn in range(9):
        taken = [number_of(events) for events in await lanes.take()]
        assert taken == [turn % 3]
        lanes.put(run(turn % 3, SMALLEST))
        lanes.free(turn % 3)


async def test_what_comes_for_a_busy_partition_is_not_waited_for() -> None:
    lanes = Lanes(Pace(0.05))
    lanes.put(run(0))
    await lanes.take()
    taking = asyncio.create_task(lanes.take())
    lanes.put(run(1))
    for _ in range(2 * TURNS):
        lanes.put(run(0))
        await _turns(1)
    assert taking.done()


async def test_large_messages_are_not_all_taken_at_once() -> None:
    lanes = Lanes(Pace(0.05))
    for number in range(6):
        lanes.put(run(number, size=LARGEST_BATCH // 2))
    assert len(await lanes.take()) == 2


@pytest.mark.parametrize("large", [{"records": 2 * SMALLEST}, {"size": LARGEST_WAIT}])
async def test_a_lane_is_full_until_it_is_emptied_and_no_other_waits(large: dict[str, int]) -> None:
    told: list[bool] = []
    lanes = Lanes(_smallest(), room=lambda: told.append(lanes.is_full(0)))
    lanes.put(run(0))
    await lanes.take()
    assert not lanes.is_full(0)
    lanes.put(run(0, **large))
    for _ in range(100):
        lanes.put(run(1, SMALLEST))
        assert [number_of(events) for events in await lanes.take()] == [1]
        lanes.free(1)
        assert [lanes.is_full(number) for number in range(3)] == [True, False, False]
    assert not told
    lanes.free(0)
    assert [number_of(events) for events in await lanes.take()] == [0]
    assert told == [False]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3 * SMALLEST)), max_size=40),
    st.randoms(use_true_random=False),
)
def test_each_run_is_taken_once_and_in_the_order_of_its_partition(
    put: list[tuple[int, int]], random: Random
) -> None:
    async def taken() -> dict[int, list[object]]:
        lanes, busy = Lanes(_smallest()), set[int]()
        found: dict[int, list[object]] = {number: [] for number in range(4)}

        async def putting() -> None:
            for place, (number, records) in enumerate(put):
                lanes.put(run(number, records, name=place))

        feeding = asyncio.create_task(putting())
        while sum(map(len, found.values())) < len(put):
            taking = asyncio.create_task(lanes.take())
            await _turns(random.randrange(4 * TURNS))
            # It may wait for the last of them.
            for number in random.sample(
                sorted(busy), random.randint(0 if taking.done() else len(busy), len(busy))
            ):
                busy.discard(number)
                lanes.free(number)
            batch = await taking
            numbers = [number_of(events) for events in batch]
            assert len({*numbers}) == len(numbers)
            assert not busy & {*numbers}
            busy |= {*numbers}
            assert sum(map(records_in, batch)) <= SMALLEST or [len(each) for each in batch] == [1]
            for events in batch:
                found[number_of(events)] += map(name_of, events)
        await feeding
        return found

    found = asyncio.run(asyncio.wait_for(taken(), 30))
    for number in range(4):
        expected = [place for place, (of, _) in enumerate(put) if of == number]
        assert found[number] == expected
