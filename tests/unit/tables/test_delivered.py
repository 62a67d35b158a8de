"""Changes reach the changelog topic in the end, and no partition of it delays another."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from faust.tables.globaltable import GlobalTable

from fraudapp.faust_app import new_app
from fraudapp.operation import troubles
from fraudapp.settings import load
from models.counts import Counts
from tables.global_table import DeliveredTable, _new_table


class Changelog:
    """A changelog topic whose acknowledgements come from the test."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, object]] = []
        self.answers: list[asyncio.Future[None]] = []

    def send(self, table: Any, partition: int, key: object, value: object) -> Any:
        self.sent.append((partition, value))
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]

    async def until_sent(self, count: int) -> None:
        while len(self.sent) < count:
            await asyncio.sleep(0.001)


@pytest.fixture
def changelog(monkeypatch: pytest.MonkeyPatch) -> Changelog:
    changelog = Changelog()
    monkeypatch.setattr(GlobalTable, "send_changelog", lambda *args: changelog.send(*args))
    return changelog


@pytest.fixture
def table(changelog: Changelog) -> DeliveredTable:
    settings = load({})
    return _new_table(new_app(settings), settings, "counts-of-a-test", Counts, "")


async def test_a_failed_change_is_sent_again_with_its_newest_value(
    table: DeliveredTable, changelog: Changelog
) -> None:
    table.send_changelog(0, 0, "old")
    table.send_changelog(1, 1, "other")
    waiting = [asyncio.create_task(table.delivered(partition)) for partition in range(2)]
    await asyncio.sleep(0)
    changelog.answers[1].set_result(None)
    await asyncio.wait_for(waiting[1], 5)
    changelog.answers[0].set_exception(KafkaTimeoutError())
    table.send_changelog(0, 0, "new")
    await changelog.until_sent(3)
    assert changelog.sent[2] == (0, "new")
    (told,) = troubles(table.delivering.values(), after=0.0)
    assert f"partition 0 of {load({}).app_id}-" in told
    changelog.answers[2].set_result(None)
    await asyncio.wait_for(waiting[0], 5)
    assert not troubles(table.delivering.values(), after=0.0)


async def test_one_change_of_a_partition_is_in_flight_and_the_newest_follows(
    table: DeliveredTable, changelog: Changelog
) -> None:
    for value in "abc":
        table.send_changelog(0, 0, value)
    waiting = asyncio.create_task(table.delivered(0))
    await asyncio.sleep(0)
    assert changelog.sent == [(0, "a")]
    changelog.answers[0].set_result(None)
    await changelog.until_sent(2)
    assert not waiting.done()
    changelog.answers[1].set_result(None)
    await asyncio.wait_for(waiting, 5)
    await asyncio.wait_for(table.delivered(0), 5)
    assert changelog.sent == [(0, "a"), (0, "c")]


async def test_a_cancelled_wait_does_not_cancel_the_change(
    table: DeliveredTable, changelog: Changelog
) -> None:
    table.send_changelog(0, 0, "a")
    waiting = asyncio.create_task(table.delivered(0))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert not changelog.answers[0].cancelled()


async def test_a_change_that_the_topic_never_accepts_is_an_error(
    table: DeliveredTable, changelog: Changelog
) -> None:
    table.send_changelog(0, 0, "too large")
    changelog.answers[0].set_exception(MessageSizeTooLargeError())
    with pytest.raises(MessageSizeTooLargeError):
        await table.delivered(0)
