"""Failures that may pass are retried until success; any other failure is raised at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from fraudapp.operation import Operation
from fraudapp.retry import retry_forever
from fraudapp.sinks.base import SinkUnavailable


async def attempts(
    failures: Sequence[type[Exception]],
    on: type[Exception] | None = None,
    *,
    what: str | Operation = "asking",
    within: float | None = None,
) -> int:
    """Fail with each of these in turn, then succeed; return the number of attempts."""
    left = list(failures)
    tried = 0
    async for attempt in retry_forever(what, on=on, within=within):
        with attempt:
            tried += 1
            if left:
                raise left.pop(0)
    return tried


@pytest.mark.parametrize("failures", [0, 1, 3])
async def test_retries_end_with_the_first_success(
    failures: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO):
        assert await attempts([KafkaConnectionError] * failures) == failures + 1
    begin, end = "asking: KafkaConnectionError (failed once", "asking: succeeded again after"
    expected = [begin, end] if failures else []
    assert len(caplog.messages) == len(expected)
    assert all(map(str.startswith, caplog.messages, expected))  # and nothing by stamina


async def test_attempts_end_in_time_with_the_last_failure() -> None:
    failures = [KafkaConnectionError] * 100
    with pytest.raises(KafkaConnectionError):
        await attempts(failures, within=0.01)


async def test_a_caller_that_has_to_know_failures_passes_an_operation() -> None:
    operation = Operation("asking")
    reasons = []
    async for attempt in retry_forever(operation):
        with attempt:
            reasons.append(operation.reason)
            if len(reasons) < 3:
                raise KafkaConnectionError
    assert reasons == [None, "KafkaConnectionError", "KafkaConnectionError"]
    assert operation.reason is None
    with pytest.raises(LookupError):
        await attempts([KafkaConnectionError, LookupError], what=operation)
    assert operation.reason is None


def test_every_retry_is_logged_in_one_way() -> None:
    sources = (Path(__file__).parents[3] / "fraudapp").rglob("*.py")
    users = [path.name for path in sources if "import stamina" in path.read_text()]
    assert users == ["retry.py"]


@pytest.mark.parametrize("final", [ValueError, MessageSizeTooLargeError, SinkUnavailable])
@pytest.mark.parametrize("before", [0, 1])
async def test_a_failure_that_does_not_pass_is_raised(final: type[Exception], before: int) -> None:
    with pytest.raises(final):
        await attempts([*[KafkaConnectionError] * before, final])


async def test_only_the_named_failure_is_retried() -> None:
    assert await attempts([SinkUnavailable], on=SinkUnavailable) == 2
    with pytest.raises(KafkaConnectionError):
        await attempts([KafkaConnectionError], on=SinkUnavailable)
