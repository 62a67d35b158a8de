"""Pending transactions are noted for all workers, and a Redis in trouble holds up nobody."""

from __future__ import annotations

import asyncio
import logging
from typing import Any, cast

import pytest

from fraudapp.sinks import pending
from fraudapp.sinks.base import SinkUnavailable
from fraudapp.sinks.pending import MAX_UNANSWERED_NOTES, Pending
from fraudapp.sinks.redis import RedisSink
from tests.support.memory import until


class MemoryRedis:
    """As much of a `RedisSink` as notes use; it answers once it is told to."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.accepted: set[str] = set()
        self.answers = asyncio.Event()
        self.answers.set()
        self.up = True

    async def accept(self, transaction_ids: list[str]) -> None:
        self.asked.append(transaction_ids)
        for _ in range(3):
            await asyncio.sleep(0)  # no answer comes at once
        await self.answers.wait()
        if not self.up:
            raise SinkUnavailable("redis: down")
        self.accepted.update(transaction_ids)

    async def is_accepted(self, transaction_id: str) -> bool:
        await self.answers.wait()
        if not self.up:
            raise SinkUnavailable("redis: down")
        return transaction_id in self.accepted


@pytest.fixture
async def redis() -> MemoryRedis:
    return MemoryRedis()


@pytest.fixture
def noted(redis: MemoryRedis) -> Pending:
    return Pending(cast(RedisSink, redis))


def give_up_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("NOTE_TIMEOUT", "LOOKUP_TIMEOUT"):
        monkeypatch.setattr(pending, name, 0.001)


async def test_what_was_noted_is_known_when_the_caller_goes_on(noted: Pending) -> None:
    await noted.note(["a", "b"])
    assert [await noted.knows(each) for each in "abc"] == [True, True, False]


async def test_a_failed_note_raises_nothing_and_is_logged_until_it_succeeds(
    noted: Pending, redis: MemoryRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    redis.up = False
    await noted.note(["a"])
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "noting pending transactions in redis" in caplog.text
    assert "redis: down" in caplog.text
    redis.up = True
    await noted.note(["b"])
    assert "succeeded again" in caplog.records[-1].getMessage()
    assert redis.accepted == {"b"}


async def test_a_redis_that_does_not_answer_gets_a_few_notes_and_then_no_more(
    noted: Pending, redis: MemoryRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_up_soon(monkeypatch)
    redis.answers.clear()
    for number in range(MAX_UNANSWERED_NOTES + 5):
        await noted.note([f"t{number}"])
    assert len(redis.asked) == MAX_UNANSWERED_NOTES
    redis.answers.set()
    await until(lambda: len(redis.accepted) == MAX_UNANSWERED_NOTES)
    await noted.note(["again"])
    assert "again" in redis.accepted


async def test_whether_it_is_pending_is_unknown_where_redis_does_not_tell(
    noted: Pending, redis: MemoryRedis, monkeypatch: pytest.MonkeyPatch
) -> None:
    redis.up = False
    with pytest.raises(SinkUnavailable, match="redis: down"):
        await noted.knows("a")
    give_up_soon(monkeypatch)
    redis.answers.clear()
    with pytest.raises(SinkUnavailable, match="no answer in time"):
        await noted.knows("a")


async def test_a_caller_that_goes_away_takes_no_note_back(
    noted: Pending, redis: MemoryRedis
) -> None:
    redis.answers.clear()
    caller: asyncio.Task[Any] = asyncio.ensure_future(noted.note(["a"]))
    await until(lambda: redis.asked)
    caller.cancel()
    await asyncio.wait([caller])
    redis.answers.set()
    await until(lambda: redis.accepted == {"a"})
