"""A number goes to one batch alone, and a producer id is given up where that is not certain."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    ClusterAuthorizationFailedError,
    GroupLoadInProgressError,
    IncompatibleBrokerVersion,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    NodeNotReadyError,
    NotLeaderForPartitionError,
    TopicAuthorizationFailedError,
    UnknownError,
    UnsupportedForMessageFormatError,
)
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.kafka import idempotence
from fraudapp.kafka.idempotence import PRODUCER_STATE_LOST, TOO_LARGE, PartitionSequence

TP = TopicPartition("topic", 3)
NUMBERS = 2**31
LEADER, OTHER = 4, 9


class Client:
    """A client whose brokers give out producer ids, each with its own epoch."""

    def __init__(self) -> None:
        self.leader: int | None = LEADER
        self.random: int | None = OTHER
        self.answers: deque[Exception | int] = deque()
        """Exceptions or error codes with which the brokers answer next."""
        self.asked: list[int] = []
        """The broker that was asked each time."""
        self.updates = 0
        self.hangs = False
        self.cluster = self

    def leader_for_partition(self, tp: TopicPartition) -> int | None:
        assert tp == TP
        return self.leader

    def get_random_node(self) -> int | None:
        return self.random

    async def send(self, node: int, request: Any) -> Any:
        self.asked.append(node)
        if self.hangs:
            await asyncio.Event().wait()
        answer = self.answers.popleft() if self.answers else 0
        if isinstance(answer, Exception):
            raise answer
        given = len(self.asked)
        return SimpleNamespace(error_code=answer, producer_id=100 + given, producer_epoch=given)

    async def force_metadata_update(self) -> None:
        self.updates += 1


class Batch:
    """A batch that records which numbers it was given."""

    state: tuple[int, int, int] | None = None

    def _set_producer_state(self, producer: int, epoch: int, first: int) -> None:
        self.state = producer, epoch, first


class Bench:
    """A sequence, and the client that it asks."""

    def __init__(self) -> None:
        self.client = Client()
        self.sequence = PartitionSequence(TP)

    async def begin(self) -> None:
        client: Any = self.client
        await self.sequence.begin(client)

    async def numbered(self) -> tuple[int, int, int] | None:
        """Begin, and return what a new batch is given."""
        await self.begin()
        batch = Batch()
        self.sequence.number(batch)
        return batch.state

    async def give_up(self, exc: BaseException) -> None:
        """Take a turn, and leave it with the error that the batch sent last has failed with."""
        async with self.sequence.turn():
            self.sequence.failed(exc)
            raise exc


@pytest.fixture
def first(monkeypatch: pytest.MonkeyPatch) -> int:
    """The number at which every producer id begins, in place of a random one."""

    def chosen(below: int) -> int:
        assert below == NUMBERS
        return 1_000

    monkeypatch.setattr(random, "randrange", chosen)
    return 1_000


@pytest.fixture
def bench(first: int) -> Bench:
    return Bench()


async def test_numbers_go_on_by_the_records_of_each_batch(bench: Bench, first: int) -> None:
    for expected, records in ((first, 5), (first + 5, 1), (first + 6, 3)):
        assert await bench.numbered() == (101, 1, expected)
        bench.sequence.confirmed(records)
    assert bench.client.asked == [LEADER]


@given(st.integers(0, NUMBERS - 1), st.lists(st.integers(1, NUMBERS - 1), max_size=10))
async def test_numbers_begin_again_after_the_last(start: int, counts: list[int]) -> None:
    bench = Bench()
    await bench.begin()
    bench.sequence._next = start
    for count in counts:
        assert await bench.numbered() == (101, 1, start)
        bench.sequence.confirmed(count)
        start = (start + count) % NUMBERS


async def test_a_batch_that_is_sent_again_keeps_its_number(bench: Bench, first: int) -> None:
    assert await bench.numbered() == (101, 1, first)
    bench.sequence.failed(KafkaConnectionError())
    assert await bench.numbered() == (101, 1, first)


@pytest.mark.parametrize("error", [*TOO_LARGE, TopicAuthorizationFailedError])
async def test_the_number_of_a_batch_that_is_certainly_not_there_goes_to_the_next(
    bench: Bench, first: int, error: type[Exception]
) -> None:
    assert await bench.numbered() == (101, 1, first)
    with pytest.raises(error):
        await bench.give_up(error())
    assert await bench.numbered() == (101, 1, first)


@pytest.mark.parametrize("error", [KafkaConnectionError, UnknownError, asyncio.CancelledError])
async def test_who_gives_up_an_unconfirmed_batch_gives_up_the_producer_id(
    bench: Bench, first: int, error: type[BaseException]
) -> None:
    await bench.begin()
    bench.sequence.confirmed(7)  # after which an error does not speak against the id
    with pytest.raises(error):
        await bench.give_up(error())
    assert await bench.numbered() == (102, 2, first)


async def test_who_leaves_with_an_error_after_all_is_confirmed_keeps_the_producer_id(
    bench: Bench, first: int
) -> None:
    async def leave() -> None:
        async with bench.sequence.turn():
            await bench.begin()
            bench.sequence.failed(KafkaConnectionError())
            bench.sequence.confirmed(2)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await leave()
    assert await bench.numbered() == (101, 1, first + 2)


@pytest.mark.parametrize("error", PRODUCER_STATE_LOST)
async def test_a_broker_that_has_forgotten_the_id_is_asked_for_another(
    bench: Bench, first: int, error: type[KafkaError]
) -> None:
    await bench.begin()
    bench.sequence.confirmed(5)
    bench.sequence.failed(error())
    assert await bench.numbered() == (102, 2, first)
    bench.sequence.confirmed(1)
    bench.sequence.failed(error())
    assert await bench.numbered() == (103, 3, first)


@pytest.mark.parametrize("error", [*PRODUCER_STATE_LOST, UnsupportedForMessageFormatError])
async def test_a_broker_that_refuses_first_batches_gets_0_and_then_no_number(
    bench: Bench, first: int, error: type[KafkaError]
) -> None:
    assert await bench.numbered() == (101, 1, first)
    bench.sequence.failed(error())
    assert await bench.numbered() == (102, 2, 0)
    bench.sequence.failed(error())
    assert await bench.numbered() is None
    bench.sequence.confirmed(4)
    assert await bench.numbered() is None
    assert len(bench.client.asked) == 2


async def test_a_final_error_after_a_confirmed_batch_leaves_the_producer_id(
    bench: Bench, first: int
) -> None:
    await bench.begin()
    bench.sequence.confirmed(5)
    bench.sequence.failed(UnsupportedForMessageFormatError())
    assert await bench.numbered() == (101, 1, first + 5)


async def test_turns_are_taken_in_order(bench: Bench) -> None:
    entered: list[str] = []
    leave = asyncio.Event()

    async def take(name: str) -> None:
        async with bench.sequence.turn():
            entered.append(name)
            await leave.wait()

    tasks = [asyncio.create_task(take(name)) for name in "abc"]
    for _ in range(5):
        await asyncio.sleep(0)
    assert entered == ["a"]
    leave.set()
    await asyncio.gather(*tasks)
    assert entered == ["a", "b", "c"]


@pytest.mark.parametrize("leader", [None, -1])
async def test_without_a_leader_any_broker_is_asked(bench: Bench, leader: int | None) -> None:
    bench.client.leader = leader
    assert await bench.numbered() is not None
    assert bench.client.asked == [OTHER]


async def test_without_any_broker_there_is_an_error(bench: Bench) -> None:
    bench.client.leader = bench.client.random = None
    with pytest.raises(NodeNotReadyError):
        await bench.begin()


async def test_a_broker_that_is_loading_its_state_is_asked_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotence, "_LOADING_PAUSE_SECONDS", 0.0)
    bench.client.answers += [GroupLoadInProgressError.errno] * 3
    state = await bench.numbered()
    assert state is not None
    assert state[:2] == (104, 4)


@pytest.mark.parametrize("answer", [NotLeaderForPartitionError.errno, KafkaConnectionError()])
async def test_an_error_that_may_pass_is_raised_and_the_metadata_renewed(
    bench: Bench, answer: Exception | int
) -> None:
    bench.client.answers.append(answer)
    with pytest.raises(KafkaError) as raised:
        await bench.begin()
    assert raised.value.retriable
    assert bench.client.updates == 1
    state = await bench.numbered()
    assert state is not None
    assert state[:2] == (102, 2)


@pytest.mark.parametrize(
    "answer", [ClusterAuthorizationFailedError.errno, IncompatibleBrokerVersion()]
)
async def test_a_broker_that_gives_no_producer_id_gets_batches_without_numbers(
    bench: Bench, answer: Exception | int
) -> None:
    bench.client.answers.append(answer)
    assert await bench.numbered() is None
    bench.sequence.confirmed(1)
    assert await bench.numbered() is None
    assert len(bench.client.asked) == 1
    assert bench.client.updates == 0


async def test_a_broker_that_does_not_answer_is_an_error(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotence, "INIT_PRODUCER_ID_TIMEOUT", 0.001)
    bench.client.hangs = True
    with pytest.raises(KafkaTimeoutError, match="no producer id within"):
        await bench.begin()


async def test_a_batch_has_no_number_before_there_is_a_producer_id(bench: Bench) -> None:
    batch = Batch()
    bench.sequence.number(batch)
    assert batch.state is None


async def test_producer_ids_begin_at_numbers_of_which_all_can_come() -> None:
    bench = Bench()
    found = set()
    for _ in range(50):
        state = await bench.numbered()
        assert state is not None
        assert 0 <= state[2] < NUMBERS
        found.add(state[2])
        bench.sequence.confirmed(1)
        bench.sequence.failed(PRODUCER_STATE_LOST[0]())
    assert len(found) > 40
