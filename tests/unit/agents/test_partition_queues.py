"""Waiting record batches are taken in order, once, and not while their partition is in flight."""

from __future__ import annotations

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.batch_sizer import MIN_BATCH_SIZE, BatchSizer
from agents.partition_queues import (
    LINGER_TURNS,
    MAX_BATCH_BYTES,
    MAX_QUEUED_BYTES,
    PartitionQueues,
    partition_of,
    records_in,
)
from tests.support.record_batches import name_of, record_batch


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def _smallest() -> BatchSizer:
    sizer = BatchSizer(1.0)
    for _ in range(100):
        sizer.observe(MIN_BATCH_SIZE, 1_000.0)
    assert sizer.size == MIN_BATCH_SIZE
    return sizer


async def test_record_batches_of_several_partitions_that_come_close_behind_are_one_batch() -> None:
    queues = PartitionQueues(BatchSizer(0.05))
    taking = asyncio.create_task(queues.take())
    for partition in [3, 1, 2, 1]:
        queues.put(record_batch(partition))
        await _turns(LINGER_TURNS - 2)
    assert {partition_of(events): len(events) for events in await taking} == {3: 1, 1: 2, 2: 1}


async def test_take_does_not_wait_for_records_that_have_not_arrived() -> None:
    queues = PartitionQueues(BatchSizer(0.05))
    taking = asyncio.create_task(queues.take())
    queues.put(record_batch(0))
    await _turns(4 * LINGER_TURNS)
    assert taking.done()


async def test_a_full_batch_waits_for_no_more() -> None:
    queues = PartitionQueues(_smallest())
    taking = asyncio.create_task(queues.take())
    queues.put(record_batch(0, MIN_BATCH_SIZE))
    await _turns(3)
    assert taking.done()


async def test_a_partition_in_flight_waits_and_holds_up_no_other() -> None:
    queues = PartitionQueues(BatchSizer(0.05))
    queues.put(record_batch(0))
    await queues.take()
    queues.put(record_batch(0))
    queues.put(record_batch(1))
    assert [partition_of(events) for events in await queues.take()] == [1]
    queues.free(0)
    assert [partition_of(events) for events in await queues.take()] == [0]


async def test_queues_are_served_in_turn() -> None:
    queues = PartitionQueues(_smallest())
    for partition in [0, 1, 2]:
        queues.put(record_batch(partition, MIN_BATCH_SIZE))
    for turn in range(9):
        taken = [partition_of(events) for events in await queues.take()]
        assert taken == [turn % 3]
        queues.put(record_batch(turn % 3, MIN_BATCH_SIZE))
        queues.free(turn % 3)


async def test_the_linger_ignores_partitions_in_flight() -> None:
    queues = PartitionQueues(BatchSizer(0.05))
    queues.put(record_batch(0))
    await queues.take()
    taking = asyncio.create_task(queues.take())
    queues.put(record_batch(1))
    for _ in range(2 * LINGER_TURNS):
        queues.put(record_batch(0))
        await _turns(1)
    assert taking.done()


async def test_large_messages_are_not_all_taken_at_once() -> None:
    queues = PartitionQueues(BatchSizer(0.05))
    for partition in range(6):
        queues.put(record_batch(partition, size=MAX_BATCH_BYTES // 2))
    assert len(await queues.take()) == 2


@pytest.mark.parametrize("large", [{"records": 2 * MIN_BATCH_SIZE}, {"size": MAX_QUEUED_BYTES}])
async def test_a_queue_is_full_until_it_is_emptied(large: dict[str, int]) -> None:
    told: list[bool] = []
    queues = PartitionQueues(_smallest(), room=lambda: told.append(queues.is_full(0)))
    queues.put(record_batch(0))
    await queues.take()
    assert not queues.is_full(0)
    queues.put(record_batch(0, **large))
    for _ in range(100):
        queues.put(record_batch(1, MIN_BATCH_SIZE))
        assert [partition_of(events) for events in await queues.take()] == [1]
        queues.free(1)
        assert [queues.is_full(partition) for partition in range(3)] == [True, False, False]
    assert not told
    queues.free(0)
    assert [partition_of(events) for events in await queues.take()] == [0]
    assert told == [False]


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3 * MIN_BATCH_SIZE)), max_size=40),
    st.randoms(use_true_random=False),
)
def test_each_record_batch_is_taken_once_and_in_the_order_of_its_partition(
    put: list[tuple[int, int]], random: Random
) -> None:
    async def taken() -> dict[int, list[object]]:
        queues, busy = PartitionQueues(_smallest()), set[int]()
        found: dict[int, list[object]] = {partition: [] for partition in range(4)}

        async def putting() -> None:
            for place, (partition, records) in enumerate(put):
                queues.put(record_batch(partition, records, name=place))

        feeding = asyncio.create_task(putting())
        while sum(map(len, found.values())) < len(put):
            taking = asyncio.create_task(queues.take())
            await _turns(random.randrange(4 * LINGER_TURNS))
            # It may wait for the last of them.
            for partition in random.sample(
                sorted(busy), random.randint(0 if taking.done() else len(busy), len(busy))
            ):
                busy.discard(partition)
                queues.free(partition)
            batch = await taking
            partitions = [partition_of(events) for events in batch]
            assert len({*partitions}) == len(partitions)
            assert not busy & {*partitions}
            busy |= {*partitions}
            assert sum(map(records_in, batch)) <= MIN_BATCH_SIZE or [
                len(each) for each in batch
            ] == [1]
            for events in batch:
                found[partition_of(events)] += map(name_of, events)
        await feeding
        return found

    found = asyncio.run(asyncio.wait_for(taken(), 30))
    for partition in range(4):
        expected = [place for place, (of, _) in enumerate(put) if of == partition]
        assert found[partition] == expected
