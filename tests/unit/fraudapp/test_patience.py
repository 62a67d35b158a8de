"""What may pass is tried again until it goes well; anything else is raised at once."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import pytest
from aiokafka.errors import KafkaConnectionError, MessageSizeTooLargeError

from fraudapp.patience import patiently
from fraudapp.stores.base import StoreUnavailable


async def attempts(failures: Sequence[type[Exception]], on: type[Exception] | None = None) -> int:
    """Fail with one after the other, then go well; return how often it was tried."""
    left = list(failures)
    tried = 0
    async for attempt in patiently("asking", on=on):
        with attempt:
            tried += 1
            if left:
                raise left.pop(0)
    return tried


@pytest.mark.parametrize("failures", [0, 1, 3])
async def test_it_ends_with_the_first_attempt_that_goes_well(
    failures: int, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert await attempts([KafkaConnectionError] * failures) == failures + 1
    said = [each for each in caplog.messages if each.startswith("asking: failed")]
    assert len(said) == min(failures, 1)


@pytest.mark.parametrize("final", [ValueError, MessageSizeTooLargeError, StoreUnavailable])
@pytest.mark.parametrize("before", [0, 1])
async def test_what_waiting_does_not_help_is_raised(final: type[Exception], before: int) -> None:
    with pytest.raises(final):
        await attempts([*[KafkaConnectionError] * before, final])


async def test_only_what_is_named_is_waited_out() -> None:
    assert await attempts([StoreUnavailable], on=StoreUnavailable) == 2
    with pytest.raises(KafkaConnectionError):
        await attempts([KafkaConnectionError], on=StoreUnavailable)
