"""Batches that are reassigned, or too slow at a stop or rebalance, are released and read again."""

from __future__ import annotations

import asyncio

import pytest

from agents.partition_queues import Events
from tests.unit.agents.bench import SOON, A, B, Bench, K


async def held_while_it_is_appended(bench: Bench) -> tuple[Events, asyncio.Task[None]]:
    """A batch of one transaction, and its end, which waits for the broker to take a decision."""
    bench.put_transactions(A)
    events = bench.delivered()
    bench.broker.hold(bench.log_topic, 0)
    (part,) = await bench.pipeline.begin([events])
    finishing = asyncio.create_task(bench.pipeline.finish(part))
    await bench.broker.held(bench.log_topic, 0)
    return events, finishing


async def test_a_batch_reassigned_before_deciding_is_released(bench: Bench) -> None:
    bench.put_transactions(A, partition=0)
    bench.put_transactions(K, partition=1)
    stale = bench.delivered(0)
    bench.consumption.generation = 2
    current = bench.delivered(1)
    await bench.decide(stale, current)
    assert bench.is_released(stale)
    assert bench.is_acknowledged(current)
    assert bench.scorer.asked == [[K]]
    assert bench.decided(0) == {}


async def test_a_batch_reassigned_while_its_index_is_read_is_released(
    bench: Bench,
) -> None:
    bench.log.hold(0)
    bench.put_transactions(A)
    events = bench.delivered()
    beginning = asyncio.create_task(bench.pipeline.begin([events]))
    await bench.log.held(0)
    bench.consumption.generation = 2
    bench.log.go_on(0)
    assert await beginning == []
    assert bench.is_released(events)
    assert bench.scorer.asked == []
    assert bench.table.written == []


async def test_a_batch_reassigned_after_deciding_is_released_unwritten(
    bench: Bench,
) -> None:
    bench.put_transactions(A)
    bench.put(b"no JSON")
    events = bench.delivered()
    (part,) = await bench.pipeline.begin([events])
    bench.consumption.generation = 2
    await bench.pipeline.finish(part)
    assert bench.is_released(events)
    assert bench.decided() == {}
    assert bench.dead_letters() == []
    assert bench.counts.added == []


async def test_a_batch_reassigned_during_the_append_is_neither_counted_nor_acknowledged(
    bench: Bench,
) -> None:
    events, finishing = await held_while_it_is_appended(bench)
    bench.consumption.generation = 2
    bench.broker.go_on(bench.log_topic, 0)
    await finishing
    await bench.completed(events)
    assert bench.is_released(events)
    assert not bench.consumption.acknowledged
    assert bench.counts.added == []


async def test_a_batch_reassigned_while_it_is_counted_is_not_acknowledged(
    bench: Bench,
) -> None:
    bench.put_transactions(A)
    await bench.decide(bench.delivered())
    before = len(bench.consumption.acknowledged)
    bench.put_transactions(B)
    events = bench.delivered()
    bench.table.hold(0)
    (part,) = await bench.pipeline.begin([events])
    await bench.pipeline.finish(part)
    await bench.table.held(0)
    bench.consumption.generation = 2
    bench.table.go_on(0)
    await bench.completed(events)
    assert bench.is_released(events)
    assert len(bench.consumption.acknowledged) == before


async def test_nothing_new_begins_while_partitions_are_assigned(bench: Bench) -> None:
    bench.put_transactions(A)
    events = bench.delivered()
    bench.app.flow_control.suspend()
    assert await bench.pipeline.begin([events]) == []
    assert bench.is_released(events)
    assert bench.scorer.asked == []


async def test_a_decided_batch_is_released_when_the_worker_stops(bench: Bench) -> None:
    bench.put_transactions(A)
    events = bench.delivered()
    (part,) = await bench.pipeline.begin([events])
    bench.app._stopped.set()
    await bench.pipeline.finish(part)
    assert bench.is_released(events)
    assert bench.decided() == {}


@pytest.mark.usefixtures("impatient")
async def test_a_batch_is_released_that_waits_for_its_index_during_a_rebalance(
    bench: Bench,
) -> None:
    bench.log.hold(0)
    assert not bench.pipeline.is_ready(0)
    bench.put_transactions(A)
    events = bench.delivered()
    beginning = asyncio.create_task(bench.pipeline.begin([events]))
    await bench.log.held(0)
    bench.app.flow_control.suspend()
    assert await asyncio.wait_for(beginning, SOON) == []
    assert bench.is_released(events)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("stops", [True, False])
async def test_a_batch_is_released_that_waits_for_the_broker_when_time_is_up(
    bench: Bench, stops: bool
) -> None:
    events, finishing = await held_while_it_is_appended(bench)
    if stops:
        bench.app._stopped.set()
    else:
        bench.app.flow_control.suspend()
    await asyncio.wait_for(finishing, SOON)
    assert bench.is_released(events)
    bench.broker.go_on(bench.log_topic, 0)
    await asyncio.sleep(0.01)
    assert bench.decided() == {}
    assert bench.counts.added == []


@pytest.mark.usefixtures("impatient")
async def test_a_batch_is_released_whose_counts_are_not_taken_when_time_is_up(
    bench: Bench,
) -> None:
    bench.put_transactions(A)
    (part,) = await bench.pipeline.begin([events := bench.delivered()])
    bench.table.hold(0)
    await bench.pipeline.finish(part)
    await bench.table.held(0)
    bench.app.flow_control.suspend()
    await bench.completed(events)
    assert bench.is_released(events)


async def test_a_batch_finished_before_the_timeout_is_acknowledged(bench: Bench) -> None:
    events, finishing = await held_while_it_is_appended(bench)
    bench.app.flow_control.suspend()
    await asyncio.sleep(0.01)
    bench.broker.go_on(bench.log_topic, 0)
    await finishing
    await bench.completed(events)
    assert bench.is_acknowledged(events)


async def test_a_partition_is_ready_once_its_index_is(bench: Bench) -> None:
    assert not bench.pipeline.is_ready(0)
    await bench.log.ready(0, 1)
    assert bench.pipeline.is_ready(0)
    assert not bench.pipeline.is_ready(1)
    bench.consumption.generation = 2
    assert not bench.pipeline.is_ready(0)


async def test_nothing_is_appended_before_it_is_known_how_far_sinks_have_come(
    bench: Bench,
) -> None:
    bench.put_transactions(A)
    (part,) = await bench.pipeline.begin([events := bench.delivered()])
    bench.hold_assignment()
    finishing = asyncio.create_task(bench.pipeline.finish(part))
    await asyncio.sleep(0.01)
    assert bench.decided() == {}
    bench.settle_assignment()
    await finishing
    await bench.completed(events)
