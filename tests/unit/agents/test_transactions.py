"""The agent is registered with the app, and puts record batches into their queues."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from faust.types import TP, EventT

from agents.partition_queues import Events
from agents.transactions import REFRESH_INTERVAL, TransactionsAgent
from fraudapp.kafka.record_batch import RawSchema
from fraudapp.takeover import Assignment
from models.counts import Counts
from tests.unit.agents.bench import PARTITIONS, SURPLUS, A, B, Bench, K, L

NAME = "agents.transactions.transactions"


class Worker:
    """As much of a worker as the agent uses."""

    def __init__(self, bench: Bench) -> None:
        self.waiters = bench.waiters
        self.assignment = Assignment(0, [])
        self.assigned: list[tuple[list[int], int]] = []
        self.ended = bench.ended
        self._bench = bench

    def parts(self) -> Any:
        return self._bench.started

    def on_assigned(self, partitions: list[int], generation: int) -> None:
        self.assigned.append((partitions, generation))


class Stream:
    """A stream of the record batches that a test has put into it."""

    def __init__(self) -> None:
        self.enable_acks = True
        self._events: asyncio.Queue[EventT[Any]] = asyncio.Queue()

    def put(self, events: Events) -> None:
        for each in events:
            self._events.put_nowait(each)

    async def events(self) -> AsyncIterator[EventT[Any]]:
        while True:
            yield await self._events.get()


@pytest.fixture
def bench(bench: Bench) -> Bench:
    """The bench, as the app's own consumer too."""
    cast("Any", bench.app).consumer = bench.consumption
    return bench


@pytest.fixture
def worker(bench: Bench) -> Worker:
    return Worker(bench)


@pytest.fixture
async def agent(bench: Bench, worker: Worker) -> AsyncIterator[TransactionsAgent]:
    agent = TransactionsAgent(
        bench.app,
        bench.settings,
        cast("Any", worker),
        bench.counts,
        decided=bench.counted.extend,
    )
    yield agent
    for task in agent._tasks:
        task.cancel()
    await asyncio.gather(*agent._tasks, return_exceptions=True)


@pytest.fixture
async def stream(agent: TransactionsAgent) -> AsyncIterator[Stream]:
    """The stream that the agent consumes."""
    stream = Stream()
    consuming = asyncio.create_task(agent.consume(cast("Any", stream)))
    await asyncio.sleep(0)
    yield stream
    consuming.cancel()
    await asyncio.wait([consuming])


def test_it_is_the_one_agent_of_the_topic_of_transactions(
    bench: Bench, agent: TransactionsAgent
) -> None:
    agent.register()
    assert list(bench.app.agents) == [NAME]
    registered = cast("Any", bench.app.agents[NAME])
    assert registered.concurrency == 1
    topic = registered.channel
    assert list(topic.topics) == [bench.inputs]
    assert isinstance(topic.schema, RawSchema)
    assert topic.schema.value_serializer == "raw"


async def test_signals_of_faust_reach_the_worker(
    bench: Bench, agent: TransactionsAgent, worker: Worker
) -> None:
    agent.register()
    bench.app.consumer_generation_id = 7
    topic = bench.inputs
    assigned = {TP(topic, 1), TP(topic, 0), TP(topic, SURPLUS), TP("another", 0)}
    await bench.app.on_partitions_assigned.send(assigned)
    assert worker.assigned == [([0, 1], 7)]
    with bench.waiters.subscribe(A) as waiting:
        await bench.app.on_before_shutdown.send()
        assert await waiting is None


async def test_a_timer_refreshes_the_counts(
    bench: Bench, agent: TransactionsAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers: list[tuple[float, Any]] = []

    def timer(interval: float) -> Any:
        return lambda called: timers.append((interval, called))

    monkeypatch.setattr(bench.app, "timer", timer)
    agent.register()
    assert timers == [(REFRESH_INTERVAL, agent.refresh_counts)]


@pytest.mark.parametrize(
    ("generation", "rebalancing", "written"), [(1, False, [0]), (2, False, []), (1, True, [])]
)
async def test_counts_are_refreshed_of_the_partitions_that_are_the_workers(
    bench: Bench,
    agent: TransactionsAgent,
    worker: Worker,
    generation: int,
    rebalancing: bool,
    written: list[int],
) -> None:
    bench.put_transactions(A, B)
    await bench.decide(bench.delivered())
    bench.table.values[0] = Counts(offset=0, fates={"APPROVE": 1})  # by a worker that was paused
    bench.table.written.clear()
    bench.app.consumer_generation_id = 1
    bench.app.rebalancing = rebalancing
    worker.assignment = Assignment(generation, [0, 1])  # of 1 the index is not read in
    await agent.refresh_counts()
    assert [partition for partition, _ in bench.table.written] == written
    if written:
        assert (bench.fates(), bench.table.values[0].offset) == ({"APPROVE": 2}, 1)


async def test_record_batches_are_decided_and_acknowledged_by_the_agent_alone(
    bench: Bench, stream: Stream
) -> None:
    assert stream.enable_acks is False
    bench.put_transactions(A, B, partition=0)
    bench.put_transactions(K, partition=1)
    batch = bench.delivered(0), bench.delivered(1)
    for each in batch:
        stream.put(each)
    await bench.completed(*batch)
    assert all(map(bench.is_acknowledged, batch))
    assert [list(bench.decided(each)) for each in range(PARTITIONS)] == [[A, B], [K]]


async def test_records_of_surplus_partitions_are_sent_on(bench: Bench, stream: Stream) -> None:
    bench.put_transactions(A, partition=SURPLUS)
    events = bench.delivered(SURPLUS)
    stream.put(events)
    await bench.completed(events)
    assert bench.is_acknowledged(events)
    assert len(bench.rerouted(SURPLUS % PARTITIONS)) == 1
    assert bench.decided(0) == bench.decided(1) == {}


async def test_a_partition_that_is_in_flight_fills_its_queue_and_no_other(
    bench: Bench, stream: Stream
) -> None:
    def is_full(partition: int, topic: str = bench.inputs) -> bool:
        return bench.consumption.is_full(TP(topic, partition))

    bench.broker.hold(bench.log_topic, 0)
    bench.put_transactions(A, partition=0)
    stream.put(bench.delivered(0))
    await bench.broker.held(bench.log_topic, 0)
    assert not is_full(0)
    for _ in range(3):
        bench.put(b" " * 1_000_000, partition=0)
        stream.put(bench.delivered(0))
    await asyncio.sleep(0.01)
    assert is_full(0)
    assert not is_full(0, "another")
    assert not is_full(1)
    assert not is_full(SURPLUS)
    bench.put_transactions(L, partition=1)
    events = bench.delivered(1)
    stream.put(events)
    await bench.completed(events)
    assert bench.is_acknowledged(events)
    bench.broker.go_on(bench.log_topic, 0)


async def test_a_failed_batch_is_reported_to_the_worker(
    bench: Bench, stream: Stream, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(transactions: Any) -> Any:
        raise RuntimeError("broken")

    monkeypatch.setattr(bench.scorer, "matrix", broken)
    bench.put_transactions(A)
    events = bench.delivered()
    stream.put(events)
    await bench.completed(events)
    assert [str(each) for each in bench.failures] == ["broken"]
    assert not bench.is_done(events)
    bench.failures.clear()
