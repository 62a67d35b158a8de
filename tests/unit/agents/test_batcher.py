"""Partitions are decided together, and none of them waits for what another needs."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import pytest

from agents.batch_sizer import SMALLEST, Pace
from agents.batcher import Batches
from agents.partition_queues import Events, Lanes, number_of
from tests.unit.agents.runs import name_of, run


@dataclass
class Part:
    number: int
    names: list[Any]


class Street:
    """Batches of which the test says what can be decided and kept."""

    def __init__(self) -> None:
        self.pace = Pace(0.05)
        self.lanes = Lanes(self.pace)
        self.decided: list[list[int]] = []
        self.kept: list[Any] = []
        self.left: set[int] = set()
        self.unready: set[int] = set()
        self.gates: dict[int, asyncio.Event] = defaultdict(self._open)
        self.broken: set[int] = set()
        self.broken_from_the_start: set[int] = set()
        self.failures: list[BaseException] = []
        self.batches = Batches(
            self.lanes,
            self.pace,
            decide=self._decide,
            keep=self._keep,
            ready=lambda number: number not in self.unready,
            ended=self._ended,
        )
        self.making = asyncio.create_task(self.batches.make())

    async def put(self, *runs: tuple[int, str]) -> None:
        for number, name in runs:
            self.lanes.put(run(number, name=name))

    async def until_kept(self, *names: str) -> None:
        until = monotonic() + 5
        while not {*names} <= {*self.kept}:
            assert monotonic() < until, f"kept: {self.kept}"
            await asyncio.sleep(0)

    @staticmethod
    def _open() -> asyncio.Event:
        gate = asyncio.Event()
        gate.set()
        return gate

    async def _decide(self, batch: Sequence[Events]) -> list[Part]:
        numbers = [*map(number_of, batch)]
        self.decided.append(numbers)
        if self.broken_from_the_start & {*numbers}:
            raise RuntimeError(numbers)
        for number in self.unready & {*numbers}:
            await self.gates[number].wait()
        names = {number_of(events): [*map(name_of, events)] for events in batch}
        return [Part(*each) for each in names.items() if each[0] not in self.left]

    async def _keep(self, part: Part) -> None:
        await self.gates[part.number].wait()
        if part.number in self.broken:
            raise RuntimeError(part.number)
        self.kept += part.names

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (exc := task.exception()):
            self.failures.append(exc)


@pytest.fixture
async def street() -> Street:
    return Street()


async def test_what_waits_is_decided_together(street: Street) -> None:
    await street.put((0, "a"), (1, "b"), (0, "c"))
    await street.until_kept("a", "b", "c")
    assert street.decided == [[0, 1]]


async def test_a_partition_whose_share_is_not_kept_yet_holds_up_no_other(street: Street) -> None:
    street.gates[0].clear()
    await street.put((0, "a"), (1, "b"))
    await street.until_kept("b")
    await street.put((0, "c"), (1, "d"))
    await street.until_kept("d")
    assert street.decided == [[0, 1], [1]]
    street.gates[0].set()
    await street.until_kept("a", "c")
    assert street.kept.index("a") < street.kept.index("c")


async def test_a_partition_that_is_not_ready_goes_alone(street: Street) -> None:
    street.unready = {1}
    street.gates[1].clear()
    await street.put((0, "a"), (1, "b"), (2, "c"))
    await street.until_kept("a", "c")
    assert sorted(street.decided) == [[0, 2], [1]]
    street.gates[1].set()
    await street.until_kept("b")


async def test_what_was_left_alone_keeps_its_partition_not_busy(street: Street) -> None:
    street.left = {0}
    await street.put((0, "a"), (1, "b"))
    await street.until_kept("b")
    street.left = set()
    await street.put((0, "c"))
    await street.until_kept("c")
    assert "a" not in street.kept


async def test_nothing_of_a_partition_follows_what_has_failed(street: Street) -> None:
    street.broken = {0}
    await street.put((0, "a"), (1, "b"))
    await street.until_kept("b")
    await street.put((0, "c"), (1, "d"))
    await street.until_kept("d")
    assert [*map(str, street.failures)] == ["0"]
    assert street.decided == [[0, 1], [1]]


async def test_nothing_follows_a_batch_that_could_not_be_decided(street: Street) -> None:
    street.broken_from_the_start = {0}
    await street.put((0, "a"), (1, "b"))
    while not street.failures:
        await asyncio.sleep(0)
    await street.put((0, "c"), (1, "d"), (2, "e"))
    await street.until_kept("e")
    assert street.kept == ["e"]


async def test_pace_learns_nothing_from_what_was_left(street: Street) -> None:
    street.left = {0}
    size = street.pace.size
    street.lanes.put(run(0, 10 * SMALLEST, name="a"))
    await street.put((1, "b"))
    await street.until_kept("b")
    await street.put((1, "c"))
    await street.until_kept("c")
    assert street.pace.size == size
