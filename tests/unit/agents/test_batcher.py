"""Partitions are decided together, and none of them waits for what another needs."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from time import monotonic
from typing import Any

import pytest

from agents.batch_sizer import MIN_BATCH_SIZE, BatchSizer
from agents.batcher import Batcher
from agents.partition_queues import Events, PartitionQueues, partition_of
from tests.support.record_batches import name_of, record_batch


@dataclass
class Part:
    partition: int
    names: list[Any]


class Steps:
    """Steps of which the test says what is ready, and can be begun and finished."""

    def __init__(self) -> None:
        self.sizer = BatchSizer(0.05)
        self.queues = PartitionQueues(self.sizer)
        self.begun: list[list[int]] = []
        self.finished: list[Any] = []
        self.released: set[int] = set()
        self.unready: set[int] = set()
        self.gates: dict[int, asyncio.Event] = defaultdict(self._open)
        self.broken: set[int] = set()
        self.broken_from_the_start: set[int] = set()
        self.failures: list[BaseException] = []
        batcher = Batcher(self.queues, self.sizer, self, ended=self._ended)
        self.running = asyncio.create_task(batcher.run())

    async def put(self, *batches: tuple[int, str]) -> None:
        for partition, name in batches:
            self.queues.put(record_batch(partition, name=name))

    async def until_finished(self, *names: str) -> None:
        until = monotonic() + 5
        while not {*names} <= {*self.finished}:
            assert monotonic() < until, f"finished: {self.finished}"
            await asyncio.sleep(0)

    @staticmethod
    def _open() -> asyncio.Event:
        gate = asyncio.Event()
        gate.set()
        return gate

    def is_ready(self, partition: int) -> bool:
        return partition not in self.unready

    async def begin(self, batch: Sequence[Events]) -> list[Part]:
        partitions = [*map(partition_of, batch)]
        self.begun.append(partitions)
        if self.broken_from_the_start & {*partitions}:
            raise RuntimeError(partitions)
        for partition in self.unready & {*partitions}:
            await self.gates[partition].wait()
        names = {partition_of(events): [*map(name_of, events)] for events in batch}
        return [Part(*each) for each in names.items() if each[0] not in self.released]

    async def finish(self, part: Part) -> None:
        await self.gates[part.partition].wait()
        if part.partition in self.broken:
            raise RuntimeError(part.partition)
        self.finished += part.names

    def _ended(self, task: asyncio.Task[Any]) -> None:
        if not task.cancelled() and (exc := task.exception()):
            self.failures.append(exc)


@pytest.fixture
async def steps() -> Steps:
    return Steps()


async def test_all_waiting_partitions_are_decided_in_one_batch(steps: Steps) -> None:
    await steps.put((0, "a"), (1, "b"), (0, "c"))
    await steps.until_finished("a", "b", "c")
    assert steps.begun == [[0, 1]]


async def test_a_partition_whose_part_is_not_finished_holds_up_no_other(steps: Steps) -> None:
    steps.gates[0].clear()
    await steps.put((0, "a"), (1, "b"))
    await steps.until_finished("b")
    await steps.put((0, "c"), (1, "d"))
    await steps.until_finished("d")
    assert steps.begun == [[0, 1], [1]]
    steps.gates[0].set()
    await steps.until_finished("a", "c")
    assert steps.finished.index("a") < steps.finished.index("c")


async def test_a_partition_that_is_not_ready_goes_alone(steps: Steps) -> None:
    steps.unready = {1}
    steps.gates[1].clear()
    await steps.put((0, "a"), (1, "b"), (2, "c"))
    await steps.until_finished("a", "c")
    assert sorted(steps.begun) == [[0, 2], [1]]
    steps.gates[1].set()
    await steps.until_finished("b")


async def test_a_partition_that_was_released_is_free_again(steps: Steps) -> None:
    steps.released = {0}
    await steps.put((0, "a"), (1, "b"))
    await steps.until_finished("b")
    steps.released = set()
    await steps.put((0, "c"))
    await steps.until_finished("c")
    assert "a" not in steps.finished


async def test_a_failed_part_keeps_its_partition_in_flight(steps: Steps) -> None:
    steps.broken = {0}
    await steps.put((0, "a"), (1, "b"))
    await steps.until_finished("b")
    await steps.put((0, "c"), (1, "d"))
    await steps.until_finished("d")
    assert [*map(str, steps.failures)] == ["0"]
    assert steps.begun == [[0, 1], [1]]


async def test_a_batch_that_could_not_begin_keeps_its_partitions_in_flight(steps: Steps) -> None:
    steps.broken_from_the_start = {0}
    await steps.put((0, "a"), (1, "b"))
    while not steps.failures:
        await asyncio.sleep(0)
    await steps.put((0, "c"), (1, "d"), (2, "e"))
    await steps.until_finished("e")
    assert steps.finished == ["e"]


async def test_the_sizer_does_not_count_released_partitions(steps: Steps) -> None:
    steps.released = {0}
    size = steps.sizer.size
    steps.queues.put(record_batch(0, 10 * MIN_BATCH_SIZE, name="a"))
    await steps.put((1, "b"))
    await steps.until_finished("b")
    await steps.put((1, "c"))
    await steps.until_finished("c")
    assert steps.sizer.size == size
