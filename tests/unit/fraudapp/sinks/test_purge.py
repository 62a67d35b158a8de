"""A purge deletes what is saved again, and gives up in the end."""

from __future__ import annotations

import logging
from datetime import date
from typing import Any, cast

import pytest

from fraudapp.sinks.base import DecisionSink
from fraudapp.sinks.purge import MAX_PASSES, delete


class Refilled:
    """A sink into which a worker saves deleted decisions again, so many times."""

    name = "redis"

    def __init__(self, times: float) -> None:
        self.left = times

    async def purge(self, before: date, **_: Any) -> int:
        self.left -= 1
        return 7 if self.left >= 0 else 0


async def test_a_purge_gives_up_with_a_warning_on_decisions_that_are_saved_again_and_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    marked = Refilled(2)
    assert await delete(cast(DecisionSink, marked), date(2020, 1, 1)) == 14
    assert not caplog.text
    unmarked = Refilled(float("inf"))
    assert await delete(cast(DecisionSink, unmarked), date(2020, 1, 1)) == 7 * MAX_PASSES
    assert "redis: 7 more decisions or files were there" in caplog.text
