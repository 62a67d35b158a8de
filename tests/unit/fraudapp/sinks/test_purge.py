"""What a purge does, and when it gives up."""

from __future__ import annotations

import logging
from datetime import date
from typing import Any, cast

import pytest

from fraudapp.sinks.base import DecisionSink
from fraudapp.sinks.purge import PASSES, delete


class Refilled:
    """A sink into which somebody saves again what was deleted, so many times."""

    name = "redis"

    def __init__(self, times: float) -> None:
        self.left = times

    async def purge(self, before: date, **_: Any) -> int:
        self.left -= 1
        return 7 if self.left >= 0 else 0


async def test_what_is_saved_again_and_again_is_told_and_waited_for_no_longer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    hears = Refilled(2)
    assert await delete(cast(DecisionSink, hears), date(2020, 1, 1)) == 14
    assert not caplog.text
    deaf = Refilled(float("inf"))
    assert await delete(cast(DecisionSink, deaf), date(2020, 1, 1)) == 7 * PASSES
    assert "redis: 7 were there again" in caplog.text
