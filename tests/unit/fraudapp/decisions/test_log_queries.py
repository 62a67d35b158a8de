"""Questions about the log share answers that are no older than they are, and hold up no others."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError, LeaderNotAvailableError

from fraudapp.decisions import log_queries
from fraudapp.decisions.batch import encode
from fraudapp.decisions.log_queries import LogQueries, retrieve_exception
from fraudapp.decisions.log_records import LogRecord
from fraudapp.kafka.offsets import End
from fraudapp.settings import Settings, load
from models.records import Decision
from tests.support.decisions import decision
from tests.support.memory import Gates


class Reader:
    """A reader of a log that grows, which is asked no two questions about a partition at once."""

    def __init__(self) -> None:
        self.running = False
        self.options: dict[str, Any] = {}
        self.high_waters: dict[int, int] = {0: 5, 1: 7}
        self.decisions: dict[tuple[int, int], Decision] = {}
        self.leaderless: set[int] = set()
        self.failures: deque[Exception] = deque()
        """What the next questions for ends raise, one each."""
        self.asked: list[int] = []
        """The partition of each question for its end."""
        self.gates = Gates()
        self._asking: set[int] = set()

    async def start(self) -> None:
        self.running = True

    async def stop(self) -> None:
        self.running = False

    def has_leader(self, partition: int) -> bool:
        return partition not in self.leaderless

    async def ends(self, partitions: Iterable[int]) -> dict[int, End]:
        (partition,) = partitions
        assert partition not in self._asking
        self._asking.add(partition)
        self.asked.append(partition)
        high_water = self.high_waters[partition]
        try:
            await self.gates.passed(partition)
            if self.failures:
                raise self.failures.popleft()
            return {partition: End(high_water, high_water - 1)}
        finally:
            self._asking.discard(partition)

    async def record_at(self, partition: int, offset: int) -> LogRecord | None:
        assert self.has_leader(partition)
        found = self.decisions.get((partition, offset))
        return LogRecord(offset, found, encode(found)) if found else None


@pytest.fixture
def reader(monkeypatch: pytest.MonkeyPatch) -> Reader:
    reader = Reader()

    def connected(settings: Settings, **options: Any) -> Reader:
        reader.options = options
        return reader

    monkeypatch.setattr(log_queries, "LogReader", connected)
    return reader


@pytest.fixture
def queries(reader: Reader) -> LogQueries:
    return LogQueries(load({}))


async def turns() -> None:
    """Let all tasks go on as far as they can."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_it_is_connected_while_it_runs(queries: LogQueries, reader: Reader) -> None:
    await queries.on_start()
    assert reader.running
    await queries.on_stop()
    assert not reader.running
    assert reader.options == {"max_partition_fetch_bytes": 1}


async def test_the_end_of_a_partition_is_asked_anew_each_time(
    queries: LogQueries, reader: Reader
) -> None:
    assert await queries.end(0) == End(5, 4)
    reader.high_waters[0] = 9
    assert await queries.end(0) == End(9, 8)
    assert await queries.end(1) == End(7, 6)
    assert reader.asked == [0, 0, 1]


async def test_callers_who_ask_meanwhile_share_the_next_answer(
    queries: LogQueries, reader: Reader
) -> None:
    reader.gates.close(0)
    first = asyncio.create_task(queries.end(0))
    await reader.gates.reached(0)
    reader.high_waters[0] = 8  # the first question is asked already
    others = [asyncio.create_task(queries.end(0)) for _ in range(5)]
    await turns()
    assert reader.asked == [0]
    reader.gates.open(0)
    assert await first == End(5, 4)
    assert await asyncio.gather(*others) == [End(8, 7)] * 5
    assert reader.asked == [0, 0]


async def test_a_partition_that_does_not_answer_holds_up_no_other(
    queries: LogQueries, reader: Reader
) -> None:
    reader.gates.close(0)
    held = asyncio.create_task(queries.end(0))
    await reader.gates.reached(0)
    assert await queries.end(1) == End(7, 6)
    assert not held.done()
    reader.gates.open(0)
    assert await held == End(5, 4)


async def test_an_error_is_of_those_who_share_the_answer_and_of_no_later_caller(
    queries: LogQueries, reader: Reader
) -> None:
    reader.gates.close(0)
    first = asyncio.create_task(queries.end(0))
    await reader.gates.reached(0)
    second, third = (asyncio.create_task(queries.end(0)) for _ in range(2))
    await turns()
    reader.failures += [KafkaConnectionError("first"), KafkaConnectionError("shared")]
    reader.gates.open(0)
    done = await asyncio.gather(first, second, third, return_exceptions=True)
    assert [str(each) for each in done] == [
        *("KafkaConnectionError: first", "KafkaConnectionError: shared"),
        "KafkaConnectionError: shared",
    ]
    assert await queries.end(0) == End(5, 4)


async def test_a_caller_who_gives_up_takes_the_answer_from_no_other(
    queries: LogQueries, reader: Reader
) -> None:
    reader.gates.close(0)
    asking = asyncio.create_task(queries.end(0))
    await reader.gates.reached(0)
    gone, stays = (asyncio.create_task(queries.end(0)) for _ in range(2))
    await turns()
    asking.cancel()
    gone.cancel()
    await turns()
    assert (asking.cancelled(), gone.cancelled()) == (True, True)
    reader.gates.open(0)
    assert await stays == End(5, 4)
    assert reader.asked == [0, 0]


async def test_an_error_that_nobody_waits_for_any_more_is_not_reported(
    queries: LogQueries, reader: Reader
) -> None:
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context))
    reader.gates.close(0)
    asking = asyncio.create_task(queries.end(0))
    await reader.gates.reached(0)
    asking.cancel()
    await turns()
    reader.failures.append(KafkaConnectionError("gone"))
    reader.gates.open(0)
    await turns()
    assert not reader.failures  # it was raised
    del asking
    assert reported == []


async def test_the_exception_of_a_task_is_retrieved_unless_it_was_cancelled() -> None:
    loop = asyncio.get_running_loop()
    reported: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: reported.append(context))
    failed: asyncio.Future[None] = loop.create_future()
    failed.set_exception(KafkaConnectionError("gone"))
    retrieve_exception(failed)
    del failed  # asyncio reports an exception that was never retrieved here
    cancelled: asyncio.Future[None] = loop.create_future()
    cancelled.cancel()
    retrieve_exception(cancelled)
    done: asyncio.Future[None] = loop.create_future()
    done.set_result(None)
    retrieve_exception(done)
    assert reported == []


async def test_a_decision_is_found_at_its_offset(queries: LogQueries, reader: Reader) -> None:
    reader.decisions[1, 4] = decision("t1")
    assert await queries.decision(1, 4) == decision("t1")
    assert await queries.decision(1, 5) is None
    assert reader.asked == []


async def test_of_a_partition_without_a_leader_a_decision_is_found_once_it_has_one(
    queries: LogQueries, reader: Reader
) -> None:
    reader.decisions[0, 4] = decision("t1")
    reader.decisions[1, 4] = decision("t2")
    reader.leaderless.add(0)
    reader.gates.close(0)
    asking = asyncio.create_task(queries.decision(0, 4))
    await reader.gates.reached(0)
    assert await queries.decision(1, 4) == decision("t2")
    reader.leaderless.clear()
    reader.gates.open(0)
    assert await asking == decision("t1")


async def test_of_a_partition_that_gets_no_leader_a_decision_is_an_error(
    queries: LogQueries, reader: Reader
) -> None:
    reader.leaderless.add(0)
    reader.failures.append(LeaderNotAvailableError())
    with pytest.raises(LeaderNotAvailableError):
        await queries.decision(0, 4)
