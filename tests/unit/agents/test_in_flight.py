"""A record batch is acknowledged or released, whatever interrupts the work on it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError
from faust.types import TP

from agents.in_flight import STOP_TIMEOUT, InFlight
from agents.partition_queues import Events
from fraudapp.faust_app import FraudApp, new_app
from fraudapp.settings import load
from tests.support.memory import MemoryBroker, MemoryConsumption
from tests.unit.agents.bench import SOON, event_of

TOPIC = "transactions"


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker({TOPIC: 2})


@pytest.fixture
def consumption(broker: MemoryBroker) -> MemoryConsumption:
    return MemoryConsumption(broker)


@pytest.fixture
def app() -> FraudApp:
    app = new_app(load({}))
    app.flow_control.resume()
    return app


@pytest.fixture
def in_flight(app: FraudApp, consumption: MemoryConsumption) -> InFlight:
    return InFlight(app, consumption)


@pytest.fixture
def events(broker: MemoryBroker) -> Events:
    return [event_of([broker.put(TOPIC, 0, b"value")], 1) for _ in range(2)]


def messages(events: Events) -> list[Any]:
    return [each.message for each in events]


def test_record_batches_are_acknowledged_or_released_each(
    in_flight: InFlight, consumption: MemoryConsumption, events: Events
) -> None:
    in_flight.acknowledge(events)
    assert consumption.acknowledged == messages(events)
    assert consumption.released == []
    in_flight.release(events)
    assert consumption.released == messages(events)


def test_the_generation_is_that_of_the_consumer(
    in_flight: InFlight, consumption: MemoryConsumption
) -> None:
    assert in_flight.generation == 1
    consumption.generation = 7
    assert in_flight.generation == 7


def test_stale_record_batches_are_released_and_the_rest_returned(
    in_flight: InFlight, consumption: MemoryConsumption, broker: MemoryBroker, events: Events
) -> None:
    consumption.generation = 2
    current = [event_of([broker.put(TOPIC, 1, b"value")], 2)]
    mixed = [event_of([broker.put(TOPIC, 1, b"value")], each) for each in (2, 1)]
    rest = in_flight.release_stale([events, current, mixed], lambda each: each)
    assert rest == [current]
    assert consumption.released == messages([*events, *mixed])
    assert consumption.acknowledged == []


def test_it_is_suspended_during_a_rebalance_and_when_the_worker_is_to_stop(
    in_flight: InFlight, app: FraudApp
) -> None:
    assert not in_flight.suspended
    app.flow_control.suspend()
    assert in_flight.suspended
    assert not in_flight.stopping
    app.flow_control.resume()
    app._stopped.set()
    assert in_flight.suspended
    assert in_flight.stopping


async def test_the_end_of_a_partition_is_asked_for_until_it_is_known(
    in_flight: InFlight, consumption: MemoryConsumption, events: Events
) -> None:
    consumption.failures.extend([KafkaConnectionError("gone"), KafkaConnectionError("gone")])
    assert await in_flight.end_of(TP(TOPIC, 0)) == len(events)
    assert not consumption.failures


async def test_uninterrupted_work_returns_its_result(
    in_flight: InFlight, consumption: MemoryConsumption, events: Events
) -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    assert await in_flight.unless_interrupted(work(), events) == "done"
    assert consumption.released == []


async def test_failed_work_raises_and_releases_nothing(
    in_flight: InFlight, consumption: MemoryConsumption, events: Events
) -> None:
    async def work() -> None:
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        await in_flight.unless_interrupted(work(), events)
    assert consumption.released == []


class Work:
    """Work that waits for its gate, and tells what has become of it."""

    def __init__(self) -> None:
        self.began = asyncio.Event()
        self.gate = asyncio.Event()
        self.cancelled = asyncio.Event()

    async def do(self) -> str:
        self.began.set()
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return "done"


def interrupt(app: FraudApp, stops: bool) -> None:
    if stops:
        app._stopped.set()
    else:
        app.flow_control.suspend()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("stops", [True, False])
async def test_interrupted_work_is_cancelled_and_released_at_its_timeout(
    in_flight: InFlight,
    consumption: MemoryConsumption,
    app: FraudApp,
    events: Events,
    caplog: pytest.LogCaptureFixture,
    stops: bool,
) -> None:
    work = Work()
    working = asyncio.create_task(in_flight.unless_interrupted(work.do(), events))
    await work.began.wait()
    assert consumption.released == []
    interrupt(app, stops)
    assert await asyncio.wait_for(working, SOON) is None
    await asyncio.wait_for(work.cancelled.wait(), SOON)
    assert consumption.released == messages(events)
    assert "released 2 record batches unprocessed" in caplog.text


@pytest.mark.parametrize("stops", [True, False])
async def test_interrupted_work_that_ends_in_time_is_not_released(
    in_flight: InFlight,
    consumption: MemoryConsumption,
    app: FraudApp,
    events: Events,
    stops: bool,
) -> None:
    work = Work()
    working = asyncio.create_task(in_flight.unless_interrupted(work.do(), events))
    await work.began.wait()
    interrupt(app, stops)
    await asyncio.sleep(0.01)
    assert not working.done()
    work.gate.set()
    assert await asyncio.wait_for(working, STOP_TIMEOUT) == "done"
    assert consumption.released == []
