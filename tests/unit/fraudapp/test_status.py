"""The status of a worker covers the partitions it owns, and leaves out unknown values."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from faust.exceptions import ConsumerNotStarted

from fraudapp.metrics import SinkState
from fraudapp.status import WorkerStatus, lag
from models.counts import Counts
from tests.support.views import GENERATION, Bench, bench


@pytest.fixture
def here() -> Bench:
    made = bench(FRAUD_WEB_PORT="6789", FRAUD_TRANSACTIONS_TOPIC="in")
    made.own(0, 2)
    return made


@pytest.fixture
def status(here: Bench) -> WorkerStatus:
    return WorkerStatus(here.worker)


def rebalance(here: Bench) -> None:
    here.app.rebalancing = True


def recover(here: Bench) -> None:
    here.app.in_recovery = True


def enter_another_generation(here: Bench) -> None:
    here.app.consumer_generation_id = GENERATION + 1


def test_no_two_workers_have_one_name(status: WorkerStatus) -> None:
    assert status.name == f"{socket.gethostname()}:6789"


def test_what_is_owned_is_what_was_assigned_last(status: WorkerStatus) -> None:
    assert status.owned() == [0, 2]


@pytest.mark.parametrize("change", [rebalance, recover, enter_another_generation])
def test_while_partitions_are_assigned_none_is_owned(
    here: Bench, status: WorkerStatus, change: Callable[[Bench], None]
) -> None:
    change(here)
    assert status.owned() == []


def test_what_is_not_read_in_is_told_but_while_partitions_are_assigned(
    here: Bench, status: WorkerStatus
) -> None:
    assert status.unread() == []
    del here.parts.log.indexes[2]
    assert status.unread() == [2]
    rebalance(here)
    assert status.unread() == []


def test_each_sink_is_told_of_by_its_name(here: Bench, status: WorkerStatus) -> None:
    redis, postgres, _ = here.parts.writers
    redis.lag = 5
    postgres.lag, postgres.failure = 12, "postgres: away"
    assert status.sinks() == {
        "redis": SinkState(5, False),
        "postgres": SinkState(12, True),
        "archive": SinkState(0, False),
    }
    here.worker._parts = None
    assert status.sinks() == {}


def test_ends_that_are_not_known_are_left_out(here: Bench, status: WorkerStatus) -> None:
    here.consumer.ends = {0: 15, 2: None, 3: 0}
    assert status.high_waters([0, 2, 3]) == {0: 15, 3: 0}


@pytest.mark.parametrize(
    "failure", [KeyError(0), AssertionError(), AttributeError("_thread"), ConsumerNotStarted()]
)
def test_a_consumer_that_has_lost_a_partition_tells_no_end(
    here: Bench, status: WorkerStatus, failure: Exception
) -> None:
    here.consumer.failure = failure
    assert status.high_waters([0]) == {}


def test_a_bug_is_not_taken_for_a_lost_partition(here: Bench, status: WorkerStatus) -> None:
    here.consumer.failure = ZeroDivisionError()
    with pytest.raises(ZeroDivisionError):
        status.high_waters([0])


def test_the_lag_is_counted_from_the_record_that_was_dealt_with_last(
    here: Bench, status: WorkerStatus
) -> None:
    here.consumer.ends = {0: 15, 2: None}
    assert status.lags({0: Counts(9), 2: Counts(1)}) == {0: 5}


@pytest.mark.parametrize(
    ("high_water", "counts", "expected"),
    [(0, None, 0), (7, None, 7), (7, Counts(-1), 7), (7, Counts(6), 0), (7, Counts(20), 0)],
)
def test_the_lag_is_never_below_zero(high_water: int, counts: Counts | None, expected: int) -> None:
    assert lag(high_water, counts) == expected
