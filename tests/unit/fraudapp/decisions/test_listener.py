"""The listener notifies waiters of decisions of other workers, and knows what Postgres may lack."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError

from fraudapp import operation
from fraudapp.decisions import listener as module
from fraudapp.decisions.batch import encode
from fraudapp.decisions.listener import DecisionListener
from fraudapp.decisions.recent import Unknowable
from fraudapp.decisions.waiters import DecisionWaiters
from fraudapp.operation import Operation
from fraudapp.settings import Settings, load
from models.records import Decision
from tests.support.decisions import decision, id_in_partition
from tests.support.memory import PATIENCE, MemoryBroker, until
from tests.support.memory_clients import MemoryConsumer

PARTITIONS = 2
A, B, C = (id_in_partition(0, number, PARTITIONS) for number in range(3))
"""Ids whose key partition is 0."""
K, L = (id_in_partition(1, number, PARTITIONS) for number in range(2))
"""Ids whose key partition is 1."""


class Bench:
    """A listener, the log that it follows, and callers who wait."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.settings = load({"FRAUD_TOPIC_PARTITIONS": str(PARTITIONS)})
        self.topic = self.settings.decisions_topic
        self.broker = MemoryBroker({self.topic: PARTITIONS})
        self.consumer = MemoryConsumer(self.broker)
        self.waiters = DecisionWaiters()
        self.options: dict[str, Any] = {}
        monkeypatch.setattr(module, "new_consumer", self._new_consumer)
        monkeypatch.setattr(module, "ends", self.consumer.ends)
        self.listener = DecisionListener(self.settings, self.waiters)

    def tp(self, partition: int) -> TopicPartition:
        return TopicPartition(self.topic, partition)

    def decide(self, *ids: str, partition: int = 0) -> list[Decision]:
        """Let another worker append decisions."""
        made = [decision(each) for each in ids]
        for each in made:
            self.broker.put(self.topic, partition, encode(each), each.transaction_id.encode())
        return made

    def found(self, transaction_id: str, partition: int = 0) -> list[int]:
        return self.listener.recent(partition).find(transaction_id.encode())

    def _new_consumer(self, settings: Settings, **options: Any) -> MemoryConsumer:
        assert settings is self.settings
        self.options = options
        return self.consumer


@pytest.fixture
async def stopped(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Bench]:
    """A bench whose listener has not started yet; it is stopped at the end."""
    bench = Bench(monkeypatch)
    yield bench
    await bench.listener.stop()
    assert not bench.consumer.running


@pytest.fixture
async def bench(stopped: Bench) -> Bench:
    """A bench whose listener follows all partitions of an empty log."""
    await stopped.listener.start()
    await stopped.consumer.delivered()
    return stopped


async def test_all_partitions_are_followed_from_a_little_before_their_ends(
    stopped: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LOOK_BACK", 2)
    stopped.decide(A, B, C)
    stopped.decide(K, partition=1)
    await stopped.listener.start()
    await stopped.consumer.delivered()
    assert stopped.listener.recent(0).start == 1
    assert [stopped.found(each) for each in (A, B, C)] == [[], [1], [2]]
    assert stopped.listener.recent(1).start == 0
    assert stopped.found(K, 1) == [0]
    assert stopped.options["auto_offset_reset"] == "latest"


async def test_before_the_end_of_a_partition_was_found_nothing_is_known_of_it(
    stopped: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIND_ENDS_TIMEOUT", 0.001)
    stopped.decide(A)
    stopped.decide(K, partition=1)
    with pytest.raises(Unknowable):
        stopped.listener.recent(0)
    stopped.consumer.gates.close(1)
    await stopped.listener.start()  # which does not wait for it
    await until(lambda: 0 in stopped.listener._recent)
    await stopped.consumer.delivered()
    assert stopped.found(A) == [0]
    with pytest.raises(Unknowable):
        stopped.listener.recent(1)
    stopped.listener.on_assigned({1: 0}, [])  # which changes nothing for it
    assert stopped.tp(1) in stopped.consumer.paused()
    stopped.consumer.gates.open(1)
    await until(lambda: 1 in stopped.listener._recent)
    await stopped.consumer.delivered()
    assert stopped.found(K, 1) == [0]


async def test_the_end_of_a_partition_is_asked_for_until_a_broker_answers(
    stopped: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "troubles", at_once)
    told: list[str] = []
    find_ends = stopped.consumer.ends

    async def find(*arguments: Any) -> Any:
        told.extend(stopped.listener.troubles())
        return await find_ends(*arguments)

    monkeypatch.setattr(module, "ends", find)
    stopped.consumer.end_failures.append(KafkaConnectionError("gone"))
    stopped.decide(A)
    stopped.decide(K, partition=1)
    await stopped.listener.start()
    await stopped.consumer.delivered()
    assert (stopped.found(A), stopped.found(K, 1)) == ([0], [0])
    (trouble,) = set(told[-1:])
    assert f"of {stopped.topic} to find its end: KafkaConnectionError: gone" in trouble
    assert stopped.listener.troubles() == []


def at_once(operations: Iterable[Operation]) -> list[str]:
    """Tell of failures without waiting whether they pass."""
    return operation.troubles(operations, 0.0)


async def test_waiters_are_notified_of_decisions_of_other_workers(bench: Bench) -> None:
    with bench.waiters.subscribe(A) as one, bench.waiters.subscribe(B) as other:
        (made,) = bench.decide(A)
        bench.decide(K, partition=1)
        await bench.consumer.delivered()
        assert one.result() == made
        assert not other.done()
        (made,) = bench.decide(B)
        await bench.consumer.delivered()
        assert other.result() == made
    assert (bench.found(A), bench.found(B), bench.found(K, 1)) == ([0], [1], [0])


async def test_records_that_no_worker_wrote_notify_nobody(bench: Bench) -> None:
    with bench.waiters.subscribe(A) as waiter:
        bench.broker.put(bench.topic, 0, b"no decision", A.encode())
        bench.broker.put(bench.topic, 0, None, A.encode())
        bench.broker.put(bench.topic, 0, encode(decision(A)), None)
        bench.broker.put(bench.topic, 0, encode(decision(A)), b"\xff\xfe")
        bench.broker.put(bench.topic, 0, encode(decision(B)), A.encode())
        bench.decide(A, partition=1)  # which is not its key partition
        await bench.consumer.delivered()
        assert not waiter.done()
        (made,) = bench.decide(A)
        await bench.consumer.delivered()
        assert waiter.result() == made


async def test_partitions_of_this_worker_are_not_followed(bench: Bench) -> None:
    bench.listener.on_assigned({}, [0])
    with bench.waiters.subscribe(A) as waiter:
        bench.decide(A)
        bench.decide(K, partition=1)
        await bench.consumer.delivered()
        assert not waiter.done()
    assert bench.listener.recent(0).end == 0
    assert bench.found(K, 1) == [0]


async def test_a_partition_that_is_lost_is_followed_from_where_its_index_ends(
    bench: Bench,
) -> None:
    bench.decide(A)
    await bench.consumer.delivered()
    bench.listener.on_assigned({}, [0])
    bench.decide(B, C)
    bench.listener.on_assigned({0: 2}, [])
    assert (bench.listener.recent(0).start, bench.listener.recent(0).end) == (2, 2)
    await bench.consumer.delivered()
    assert [bench.found(each) for each in (A, B, C)] == [[], [], [2]]


async def test_a_partition_that_is_lost_without_an_index_is_followed_from_where_it_was(
    bench: Bench,
) -> None:
    bench.decide(A)
    await bench.consumer.delivered()
    bench.listener.on_assigned({}, [0])
    bench.decide(B)
    bench.listener.on_assigned({1: 0}, [])
    await bench.consumer.delivered()
    assert [bench.found(each) for each in (A, B)] == [[0], [1]]


async def test_a_partition_that_is_followed_already_goes_on(bench: Bench) -> None:
    bench.decide(A)
    await bench.consumer.delivered()
    bench.listener.on_assigned({0: 1}, [1])
    bench.decide(B)
    await bench.consumer.delivered()
    assert [bench.found(each) for each in (A, B)] == [[0], [1]]


async def test_a_partition_taken_over_before_its_end_was_found_stays_paused(
    stopped: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIND_ENDS_TIMEOUT", 0.001)
    stopped.consumer.gates.close(0)
    await stopped.listener.start()
    stopped.listener.on_assigned({}, [0])
    stopped.consumer.gates.open(0)
    await until(lambda: len(stopped.listener._recent) == PARTITIONS)
    assert stopped.consumer.paused() == {stopped.tp(0)}


async def test_decisions_that_postgres_has_are_forgotten(bench: Bench) -> None:
    bench.decide(A, B, C)
    bench.decide(K, partition=1)
    await bench.consumer.delivered()
    bench.listener.forget_stored(
        {0: 2, 1: 0, PARTITIONS: 5}
    )  # the transactions topic may have more
    assert [bench.found(each) for each in (A, B, C)] == [[], [], [2]]
    assert bench.found(K, 1) == [0]
    assert (bench.listener.recent(0).start, bench.listener.recent(0).stored) == (2, 2)


async def test_no_more_ids_are_remembered_than_all_partitions_share(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "_MAX_IDS", 4 * PARTITIONS)
    bench = Bench(monkeypatch)
    await bench.listener.start()
    bench.decide(*[A] * 5)
    await bench.consumer.delivered()
    assert len(bench.listener.recent(0)) == 3
    bench.decide(*[A] * 5)
    await bench.consumer.delivered()
    assert len(bench.listener.recent(0)) <= 4
    await bench.listener.stop()


async def wait_for_change(bench: Bench) -> asyncio.Task[None]:
    waiting = asyncio.create_task(bench.listener.wait_for_change())
    await asyncio.sleep(0)  # the task goes on until it has to wait
    assert bench.listener._changed is not None
    return waiting


@pytest.mark.parametrize("call", ["notify", "forget_stored", "on_assigned"])
async def test_all_who_wait_for_a_change_are_woken_by_a_call(bench: Bench, call: str) -> None:
    calls: dict[str, Callable[[], None]] = {
        "notify": bench.listener.notify,
        "forget_stored": lambda: bench.listener.forget_stored({}),
        "on_assigned": lambda: bench.listener.on_assigned({}, []),
    }
    waiting = [await wait_for_change(bench) for _ in range(2)]
    assert not any(each.done() for each in waiting)
    calls[call]()
    await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE)
    again = await wait_for_change(bench)  # nothing has changed since
    assert not again.done()
    bench.listener.notify()
    await again


async def test_all_who_wait_for_a_change_are_woken_by_records(bench: Bench) -> None:
    waiting = [await wait_for_change(bench) for _ in range(2)]
    bench.decide(A)
    await bench.consumer.delivered()
    await asyncio.wait_for(asyncio.gather(*waiting), PATIENCE)
    assert bench.found(A) == [0]


async def test_a_waiter_that_is_cancelled_does_not_keep_others_from_waking(bench: Bench) -> None:
    gone, stays = await wait_for_change(bench), await wait_for_change(bench)
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    bench.listener.notify()
    await stays


async def test_ends_move_past_offsets_without_a_record_if_somebody_waits(bench: Bench) -> None:
    waiting = await wait_for_change(bench)
    bench.decide(A, B)
    bench.consumer.hidden.add((bench.tp(0), 1))
    await bench.consumer.delivered()
    await waiting
    assert bench.listener.recent(0).end == 2
    assert bench.found(B) == []
    bench.decide(C)
    await bench.consumer.delivered()
    assert bench.found(A) == [0]  # there was no gap
    assert bench.found(C) == [2]


async def test_a_read_that_fails_is_reported_and_tried_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "troubles", at_once)
    told: list[Collection[str]] = []

    async def sleep(seconds: float) -> None:
        told.append(bench.listener.troubles())

    monkeypatch.setattr(bench.listener, "sleep", sleep)
    bench.consumer.failures.append(KafkaConnectionError("gone"))
    await bench.consumer.delivered()
    bench.decide(A)
    await bench.consumer.delivered()
    ((trouble,),) = told
    assert trouble.startswith(f"listening to {bench.topic} for decisions of other workers: ")
    assert bench.found(A) == [0]
    assert bench.listener.troubles() == []
