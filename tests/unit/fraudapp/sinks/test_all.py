"""Sinks are made from the settings, and one that refuses a worker is found before its start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fraudapp.settings import load
from fraudapp.sinks.all import Sinks
from fraudapp.sinks.base import AccessDenied, SinkUnavailable
from tests.support.memory import MemorySink


class Answering(MemorySink):
    """A sink whose answer to a ping is given."""

    def __init__(self, name: str, failure: Exception | None) -> None:
        super().__init__(name)
        self.pings = 0
        self._failure = failure

    async def ping(self) -> None:
        self.pings += 1
        if self._failure:
            raise self._failure


def sinks_that_answer(*failures: Exception | None) -> tuple[Sinks, list[Answering]]:
    made = [
        Answering(name, failure)
        for name, failure in zip(("redis", "postgres", "archive"), failures, strict=True)
    ]
    sinks: Any = object.__new__(Sinks)
    sinks.redis, sinks.postgres, sinks.archive = made
    return sinks, made


async def test_every_sink_is_among_them_and_none_is_connected(tmp_path: Path) -> None:
    archive = tmp_path / "archive"
    sinks = Sinks(load({"FRAUD_ARCHIVE_URL": archive.as_uri(), "FRAUD_APP_ID": "mine"}))
    assert list(sinks.each) == [sinks.redis, sinks.postgres, sinks.archive]
    names = [each.name for each in sinks.each]
    assert names == ["redis", "postgres", "archive"]
    assert not archive.exists()
    for each in sinks.each:
        await each.close()


async def test_sinks_that_answer_or_are_down_let_a_worker_start() -> None:
    sinks, made = sinks_that_answer(None, SinkUnavailable("postgres: down"), None)
    await sinks.check_access()
    assert [each.pings for each in made] == [1, 1, 1]


@pytest.mark.parametrize("place", range(3))
@pytest.mark.parametrize("failure", [AccessDenied("wrong password"), TypeError("a mistake")])
async def test_a_refusal_and_a_mistake_are_raised_though_another_sink_is_down(
    place: int, failure: Exception
) -> None:
    failures: list[Exception | None] = [SinkUnavailable("down")] * 3
    failures[place] = failure
    sinks, made = sinks_that_answer(*failures)
    with pytest.raises(type(failure)) as raised:
        await sinks.check_access()
    assert raised.value is failure
    assert all(each.pings for each in made)
