"""Records of surplus partitions are sent on unchanged, then acknowledged."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from agents.surplus_partitions import SurplusPartitions
from fraudapp.messages.publish import ORIGIN
from tests.unit.agents.bench import PARTITIONS, SOON, SURPLUS, Bench, K

HOME = SURPLUS % PARTITIONS
"""The partition to which records are sent on."""


@pytest.fixture
def surplus(bench: Bench) -> SurplusPartitions:
    return SurplusPartitions(bench.settings, cast("Any", bench.broker), bench.in_flight)


async def test_records_are_sent_on_as_they_are_in_their_order_with_their_origin(
    bench: Bench, surplus: SurplusPartitions
) -> None:
    assert surplus.is_ready(SURPLUS)
    written = [(b"key", b"no JSON"), (None, b"{}"), (b"key", None)]
    for key, value in written:
        bench.put(value, SURPLUS, key)
    events = bench.delivered(SURPLUS)
    (part,) = await surplus.begin([events])
    assert part.partition == SURPLUS
    assert not bench.is_done(events)
    await surplus.finish(part)
    there = bench.broker.topics[bench.inputs][HOME]
    assert [(each.key, each.value) for each in there] == written
    assert [dict(each.headers)[ORIGIN] for each in there] == [
        f"{bench.inputs}/{SURPLUS}/{offset}".encode() for offset in range(3)
    ]
    assert bench.is_acknowledged(events)


async def test_a_record_sent_on_is_decided_with_its_original_position(
    bench: Bench, surplus: SurplusPartitions
) -> None:
    bench.put_transactions(K, partition=SURPLUS)
    (part,) = await surplus.begin([bench.delivered(SURPLUS)])
    await surplus.finish(part)
    await bench.decide(bench.delivered(HOME))
    decided = bench.decided(HOME)[K]
    assert (decided.partition, decided.offset) == (SURPLUS, 0)


async def test_nothing_is_acknowledged_before_the_broker_has_it(
    bench: Bench, surplus: SurplusPartitions
) -> None:
    bench.put(b"{}", SURPLUS)
    events = bench.delivered(SURPLUS)
    bench.broker.hold(bench.inputs, HOME)
    (part,) = await surplus.begin([events])
    finishing = asyncio.create_task(surplus.finish(part))
    await bench.broker.held(bench.inputs, HOME)
    await asyncio.sleep(0.01)
    assert not bench.is_done(events)
    bench.broker.go_on(bench.inputs, HOME)
    await finishing
    assert bench.is_acknowledged(events)


async def test_nothing_begins_while_partitions_are_assigned(
    bench: Bench, surplus: SurplusPartitions
) -> None:
    bench.put(b"{}", SURPLUS)
    events = bench.delivered(SURPLUS)
    bench.app.flow_control.suspend()
    assert await surplus.begin([events]) == []
    assert bench.is_released(events)


async def test_record_batches_reassigned_meanwhile_are_not_acknowledged(
    bench: Bench, surplus: SurplusPartitions
) -> None:
    bench.put(b"{}", SURPLUS)
    (part,) = await surplus.begin([events := bench.delivered(SURPLUS)])
    bench.consumption.generation = 2
    await surplus.finish(part)
    assert bench.is_released(events)
    assert not bench.consumption.acknowledged


@pytest.mark.usefixtures("impatient")
async def test_record_batches_not_sent_on_before_the_timeout_are_released(
    bench: Bench, surplus: SurplusPartitions
) -> None:
    bench.put(b"{}", SURPLUS)
    (part,) = await surplus.begin([events := bench.delivered(SURPLUS)])
    bench.broker.hold(bench.inputs, HOME)
    finishing = asyncio.create_task(surplus.finish(part))
    await bench.broker.held(bench.inputs, HOME)
    bench.app.flow_control.suspend()
    await asyncio.wait_for(finishing, SOON)
    assert bench.is_released(events)
    assert bench.broker.topics[bench.inputs][HOME] == []
