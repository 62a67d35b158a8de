"""The log says what is tried, why it fails and for how long; once, and not at each attempt."""

from __future__ import annotations

import logging

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    LeaderNotAvailableError,
    TopicAuthorizationFailedError,
)

from fraudapp import operation as module
from fraudapp.operation import Operation, PartitionReads, reason_of, troubles
from fraudapp.sinks.base import SinkUnavailable


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time of the clock in seconds, which a test may change."""
    clock = [1_000.0]
    monkeypatch.setattr(module, "monotonic", lambda: clock[0])
    return clock


def test_the_log_line_has_operation_reason_attempts_and_seconds(
    now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    operation = Operation("reading partition 3 of decisions")
    now[0] += 2.5
    operation.failed(TopicAuthorizationFailedError("decisions"))
    assert caplog.messages == [
        "reading partition 3 of decisions: TopicAuthorizationFailedError: the broker's user needs "
        "READ on topic decisions (failed once in 2.5 s); retrying"
    ]
    assert caplog.records[0].levelno == logging.WARNING


def test_a_failure_is_logged_again_for_a_new_reason_and_at_intervals(
    now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    operation = Operation("asking")
    for second in range(100):  # one failure a second, of two kinds in turn
        operation.failed(
            [KafkaConnectionError(f"port {second}"), LeaderNotAvailableError()][second % 2]
        )
        now[0] += 1.0
    told = [line.split("failed ")[1].split(";")[0] for line in caplog.messages]
    assert told == [
        "once in 0.0 s)",
        "2 times in 1.0 s)",
        *["32 times in 31.0 s)", "33 times in 32.0 s)"],
        *["63 times in 62.0 s)", "64 times in 63.0 s)"],
        *["94 times in 93.0 s)", "95 times in 94.0 s)"],
    ]


def test_success_is_logged_once_and_only_after_failures(
    now: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    operation = Operation("asking")
    operation.succeeded()
    assert not caplog.messages
    operation.failed(KafkaConnectionError())
    now[0] += 7.0
    operation.succeeded()
    operation.succeeded()
    assert caplog.messages[1:] == ["asking: succeeded again after 7.0 s"]
    operation.failed(KafkaConnectionError())
    assert "failed once in 0.0 s" in caplog.messages[-1]


def test_trouble_is_a_failure_that_lasts(now: list[float]) -> None:
    operation = Operation("asking")
    assert operation.trouble() is None
    operation.failed(KafkaConnectionError("gone"))
    assert operation.trouble() == "asking: KafkaConnectionError: gone (failed once in 0.0 s)"
    assert not troubles([operation])
    now[0] += 3.0
    assert troubles([Operation("other"), operation]) == [
        "asking: KafkaConnectionError: gone (failed once in 3.0 s)"
    ]
    operation.succeeded()
    assert operation.trouble() is None


def test_a_success_in_part_does_not_end_a_failure(now: list[float]) -> None:
    operation = Operation("fetching", settle_seconds=5.0)
    operation.failed(TopicAuthorizationFailedError("one"))
    now[0] += 4.0
    operation.succeeded()
    assert operation.trouble() is not None
    now[0] += 1.0
    operation.succeeded()
    assert operation.trouble() is None


def test_each_partition_has_an_operation_of_its_own() -> None:
    readings = PartitionReads("decisions", " for redis")
    readings[1].failed(KafkaConnectionError())
    assert readings[1].reason is not None
    assert readings[0].reason is None
    assert readings[0].what == "reading partition 0 of decisions for redis"


@pytest.mark.parametrize(
    ("exc", "needs", "expected"),
    [
        (
            TopicAuthorizationFailedError(TopicPartition("t", 1)),
            "READ",
            "TopicAuthorizationFailedError: the broker's user needs READ on topic t",
        ),
        (
            TopicAuthorizationFailedError({"u", "t"}),
            "WRITE",
            "TopicAuthorizationFailedError: the broker's user needs WRITE on topic t, u",
        ),
        (
            GroupAuthorizationFailedError("app-redis"),
            "READ",
            "GroupAuthorizationFailedError: the broker's user needs READ on group app-redis",
        ),
        (SinkUnavailable("redis:\n  no\tanswer"), "READ", "SinkUnavailable: redis: no answer"),
        (KafkaConnectionError(), "READ", "KafkaConnectionError"),
    ],
)
def test_a_reason_names_what_is_needed_in_one_line(
    exc: Exception, needs: str, expected: str
) -> None:
    assert reason_of(exc, needs) == expected


def test_a_reason_without_leader_names_the_partition() -> None:
    exc = LeaderNotAvailableError(TopicPartition("t", 1))
    assert reason_of(exc) == "LeaderNotAvailableError: t/1"


def test_a_reason_has_its_causes_unless_they_say_the_same() -> None:
    inner = OSError("no route")
    outer = KafkaConnectionError("broker 1")
    outer.__cause__ = inner
    assert reason_of(outer) == "KafkaConnectionError: broker 1, from OSError: no route"
    outer = KafkaConnectionError("OSError: no route")
    outer.__cause__ = inner
    assert reason_of(outer) == "KafkaConnectionError: OSError: no route"
    assert len(reason_of(OSError("x" * 10_000))) < 500
