"""A worker owns the partitions whose indexes are read in, and ends if it cannot go on."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError
from faust.exceptions import ConsumerNotStarted
from faust.types import TP
from mode import Service

from fraudapp import takeover
from fraudapp import worker as workers
from fraudapp.decisions.index import IndexDamaged
from fraudapp.sinks.base import AccessDenied, DecisionRejected
from fraudapp.worker import NotStarted
from models.errors import NeedsOperator, TrainingDataError
from models.inputs import Position
from models.schema.schema import PAYSIM
from tests.support.decisions import decision, id_in_partition
from tests.support.views import GENERATION, PARTITIONS, PATIENCE, Bench, bench

PARTITION = 2
ID = id_in_partition(PARTITION, 0, PARTITIONS)


@pytest.fixture
def here() -> Bench:
    return bench(FRAUD_TRANSACTIONS_TOPIC="in", FRAUD_DECISIONS_TOPIC="out", FRAUD_APP_ID="app")


async def until(condition: Callable[[], object]) -> None:
    async def look() -> None:
        while not condition():
            await asyncio.sleep(0.001)

    await asyncio.wait_for(look(), PATIENCE)


def test_before_the_start_there_are_no_parts(here: Bench) -> None:
    assert here.worker.has_started
    here.worker._parts = None
    assert not here.worker.has_started
    with pytest.raises(NotStarted, match="has not started yet"):
        here.worker.parts()
    assert here.worker.troubles() == []


def test_an_id_is_decided_in_the_partition_that_kafka_gives_it(here: Bench) -> None:
    assert here.worker.key_partition(ID) == PARTITION


def test_what_was_decided_here_is_in_the_index_of_its_partition(here: Bench) -> None:
    assert here.worker.decided_here(ID) is None
    here.decide(decision(ID))
    assert here.worker.decided_here(ID) == decision(ID)
    del here.parts.log.indexes[PARTITION]
    assert here.worker.decided_here(ID) is None


def test_an_index_that_fails_is_told_of_and_tells_nothing(here: Bench) -> None:
    index: Any = here.parts.log.indexes[PARTITION]
    index.folder = "the folder"
    index.failure = IndexDamaged(index, "bits")
    assert here.worker.decided_here(ID) is None
    assert here.parts.log.failures == [index.failure]


def test_a_worker_decides_what_is_in_partitions_that_are_its_own_and_read_in(here: Bench) -> None:
    assert here.worker.decides(ID)
    here.app.consumer_generation_id = GENERATION + 1  # it was paused
    assert not here.worker.decides(ID)
    here.app.consumer_generation_id = GENERATION
    del here.parts.log.indexes[PARTITION]
    assert not here.worker.decides(ID)
    here.own(PARTITION)
    assert here.worker.decides(ID)
    here.own(*(each for each in range(PARTITIONS) if each != PARTITION))
    assert not here.worker.decides(ID)


def test_what_is_stored_is_what_postgres_has(here: Bench) -> None:
    redis, postgres, _ = here.parts.writers
    redis.offsets[0] = 9
    assert here.worker.stored(0) is None
    postgres.offsets[0] = 4
    assert here.worker.stored(0) == 4


def test_before_the_start_nothing_is_read_in(here: Bench) -> None:
    assert here.worker.unread() == []
    del here.parts.log.indexes[1]
    assert here.worker.unread() == [1]
    here.worker._parts = None
    assert here.worker.unread() == [0, 1, 2, 3]


async def test_partitions_are_taken_over_once_their_indexes_are_read_in(here: Bench) -> None:
    here.own()
    here.parts.log.indexes.clear()
    here.worker.on_assigned([3, 1], GENERATION)
    assert here.worker.unread() == [3, 1]
    await until(lambda: here.worker.assignment.partitions == [1, 3])
    assert here.worker.assignment.generation == GENERATION
    assert here.worker.unread() == []
    await here.worker.takeover.settled()
    assert here.parts.events == [
        ("on_assigned", {1: 0, 3: 0}, [1, 3]),
        *(("assign", name, [1, 3]) for name in ("redis", "postgres", "archive")),
    ]
    assert here.parts.labels.assigned == [(GENERATION, [1, 3])]


async def test_one_that_takes_long_is_taken_over_when_it_can_be(
    here: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "INDEX_READ_TIMEOUT", 0.01)
    here.own()
    here.parts.log.indexes.clear()
    gate = here.parts.log.gates[1] = asyncio.Event()
    here.worker.on_assigned([0, 1, 2], GENERATION)
    await until(lambda: here.worker.assignment.partitions == [0, 2])
    assert here.worker.unread() == [1]
    gate.set()
    await until(lambda: here.worker.assignment.partitions == [0, 1, 2])
    await until(lambda: ("assign", "archive", [0, 1, 2]) in here.parts.events)


async def test_another_assignment_takes_the_place_of_one_that_is_not_settled(here: Bench) -> None:
    here.own()
    here.parts.log.gates[1] = asyncio.Event()
    here.worker.on_assigned([1], GENERATION)
    await asyncio.sleep(0)
    here.worker.on_assigned([0], GENERATION + 1)
    await until(lambda: here.worker.assignment == (GENERATION + 1, [0]))
    assert not here.app.crashed


async def test_who_waits_for_what_the_owner_before_has_decided_is_told(here: Bench) -> None:
    here.parts.log.indexes[PARTITION].add(decision(ID))
    with here.worker.waiters.subscribe(ID) as waiting:
        here.worker.on_assigned([PARTITION], GENERATION)
        assert await asyncio.wait_for(waiting, PATIENCE) == decision(ID)


async def test_batches_wait_a_moment_until_it_is_known_how_far_sinks_have_come(
    here: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await here.worker.takeover.settled()  # nothing was assigned
    monkeypatch.setattr(takeover, "SETTLING_TIMEOUT", 10 * PATIENCE)
    gate = here.parts.log.gates[1] = asyncio.Event()
    here.worker.on_assigned([1], GENERATION)
    waiting = asyncio.create_task(here.worker.takeover.settled())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    gate.set()
    await asyncio.wait_for(waiting, PATIENCE)


async def test_batches_wait_no_longer_than_that(
    here: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(takeover, "SETTLING_TIMEOUT", 0.01)
    gate = here.parts.log.gates[1] = asyncio.Event()
    here.worker.on_assigned([1], GENERATION)
    await asyncio.wait_for(here.worker.takeover.settled(), PATIENCE)
    assert here.worker.assignment.partitions != [1]
    gate.set()
    await until(lambda: here.worker.assignment.partitions == [1])


async def test_an_index_that_cannot_be_read_in_ends_the_worker(
    here: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    failure = ZeroDivisionError("a bug")

    async def ready(partition: int, generation: int) -> None:
        raise failure

    monkeypatch.setattr(here.parts.log, "ready", ready)
    here.worker.on_assigned([1], GENERATION)
    await until(lambda: here.app.crashed)
    assert here.app.crashed == [failure]
    (record,) = (each for each in caplog.records if each.name == "fraudapp.worker")
    assert record.exc_info is not None


@pytest.mark.parametrize(
    ("failure", "traced"), [(NeedsOperator("do this"), False), (ZeroDivisionError("a bug"), True)]
)
def test_what_a_person_has_to_do_is_told_without_a_stack_trace(
    here: Bench, caplog: pytest.LogCaptureFixture, failure: Exception, traced: bool
) -> None:
    here.worker.end(failure)
    (record,) = (each for each in caplog.records if each.name == "fraudapp.worker")
    assert record.levelno == logging.CRITICAL
    assert record.getMessage() == f"this worker cannot go on: {failure}"
    assert bool(record.exc_info) == traced
    assert here.app.crashed == [failure]


async def test_a_cancelled_or_successful_task_does_not_end_the_worker(here: Bench) -> None:
    sleeping = asyncio.create_task(asyncio.sleep(PATIENCE))
    sleeping.cancel()
    await asyncio.wait([sleeping])
    here.worker.ended(sleeping)
    done = asyncio.create_task(asyncio.sleep(0))
    await done
    here.worker.ended(done)
    assert not here.app.crashed


def test_troubles_are_those_of_all_parts_that_talk_to_kafka(here: Bench) -> None:
    named = ("readability", "listener", "progress", "producer")
    for name in named:
        getattr(here.parts, name).failing = [f"trouble of {name}"]
    here.consumer.failing = ["trouble of consumer"]
    for writer in here.parts.writers:
        writer.failing = [f"trouble of {writer.sink.name}"]
    expected = {*named, "consumer", "redis", "postgres", "archive"}
    assert set(here.worker.troubles()) == {f"trouble of {each}" for each in expected}


def test_whatever_is_read_has_to_be_readable(here: Bench) -> None:
    own = [TopicPartition("out", each) for each in range(PARTITIONS)]
    own += [TopicPartition("app-progress", 0), TopicPartition("control", 0)]
    here.consumer.assigned = [TP("in", 1), TP("a-changelog", 0)]
    assigned = [TopicPartition("in", 1), TopicPartition("a-changelog", 0)]
    assert list(here.worker._to_be_read()) == [*own, *assigned]
    here.consumer.failure = ConsumerNotStarted()
    assert list(here.worker._to_be_read()) == own


@pytest.mark.parametrize(
    "failure",
    [
        TrainingDataError("no rows"),
        AccessDenied("redis: wrong password"),
        KafkaConnectionError("away"),
        PermissionError(13, "Permission denied", "/data"),
    ],
)
async def test_what_keeps_a_worker_from_starting_is_one_sentence(
    here: Bench,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failure: Exception,
) -> None:
    monkeypatch.setattr(here.worker, "_open", raising(failure))
    with pytest.raises(SystemExit) as ending:
        await here.worker.on_start()
    assert ending.value.code == 1
    critical = [each for each in caplog.records if each.levelno == logging.CRITICAL]
    assert [each.getMessage() for each in critical] == [f"cannot start: {failure}"]
    assert not critical[0].exc_info


async def test_a_bug_at_the_start_keeps_its_stack_trace(
    here: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(here.worker, "_open", raising(ValueError("a bug")))
    with pytest.raises(ValueError, match="a bug"):
        await here.worker.on_start()


def raising(failure: Exception) -> Callable[[], Awaitable[None]]:
    async def fail() -> None:
        raise failure

    return fail


async def test_what_was_opened_last_is_closed_first_and_services_before(here: Bench) -> None:
    closed: list[str] = []

    def closing(name: str) -> Callable[[], Awaitable[None]]:
        async def close() -> None:
            closed.append(name)

        return close

    names = ("writer", "progress")
    here.worker._services = [cast(Service, SimpleNamespace(stop=closing(each))) for each in names]
    here.worker._closing = [closing("producer"), closing("log")]
    here.parts.log.gates[1] = asyncio.Event()
    here.worker.on_assigned([1], GENERATION)
    settling = here.worker.takeover._settling
    await here.worker.on_stop()
    assert closed == ["writer", "progress", "log", "producer"]
    assert settling is not None
    await asyncio.wait([settling])
    assert settling.cancelled()


async def test_what_a_sink_will_never_take_is_a_dead_letter(
    here: Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    published: list[Any] = []

    async def publish_dead_letters(producer: Any, topic: str, rejections: Sequence[Any]) -> None:
        published.append((producer, topic, *rejections))

    monkeypatch.setattr(workers, "publish_dead_letters", publish_dead_letters)
    refused = decision(ID, topic="in", partition=PARTITION, offset=41)
    producer: Any = object()
    settings = here.worker.settings
    exc = DecisionRejected("a bad row")
    await workers._dead_letter(settings, producer, "postgres", refused, exc)
    ((by, topic, rejection),) = published
    assert (by, topic) == (producer, settings.dead_letters_topic)
    assert (rejection.reason, rejection.detail) == ("refused", "postgres: a bad row")
    assert PAYSIM.decode(rejection.input.raw) == refused
    assert rejection.input.key == ID.encode()
    assert rejection.input.position == Position("in", PARTITION, 41)
    assert "postgres refuses the decision on" in caplog.text
