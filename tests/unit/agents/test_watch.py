"""What a worker has counted is added to the cells of one of its partitions, and lost by nobody."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agents.watch import WatchCells
from models.watch.cells import Cell, Days
from tests.support.memory import MemoryTable


class Writing:
    """Writes what the test says that was counted."""

    def __init__(self) -> None:
        self.table = MemoryTable[Days]()
        self.owned: list[int] = []
        self.counted: dict[tuple[int, str], Cell] = {}
        self.assignment = SimpleNamespace(generation=1)
        watch = SimpleNamespace(take=self._take)
        worker = SimpleNamespace(
            assignment=self.assignment, parts=lambda: SimpleNamespace(watch=watch)
        )
        status = SimpleNamespace(owned=lambda: self.owned)
        self._cells = WatchCells(cast("Any", worker), cast("Any", status), cast("Any", self.table))

    def _take(self) -> dict[tuple[int, str], Cell]:
        counted, self.counted = self.counted, {}
        return counted

    async def write(self) -> list[int]:
        """The partitions that are written now."""
        before = len(self.table.written)
        await self._cells.write()
        # The real table keeps a value as it is when it is written.
        self.table.values = deepcopy(self.table.values)
        return [partition for partition, _ in self.table.written[before:]]

    def rows(self, partition: int) -> int:
        return self.table.values[partition].days[3]["m"].rows


@pytest.fixture
def writing() -> Writing:
    return Writing()


def of(rows: int) -> dict[tuple[int, str], Cell]:
    return {(3, "m"): Cell(rows=rows)}


async def test_what_was_counted_is_added_to_the_first_partition(writing: Writing) -> None:
    writing.owned, writing.counted = [2, 1], of(5)
    assert await writing.write() == [1]
    assert await writing.write() == []
    writing.counted = of(2)
    assert await writing.write() == [1]
    assert writing.rows(1) == 7


async def test_nothing_is_written_before_anything_was_counted(writing: Writing) -> None:
    writing.owned = [0]
    assert await writing.write() == []


async def test_without_partitions_what_was_counted_waits(writing: Writing) -> None:
    writing.counted = of(5)
    assert await writing.write() == []
    writing.owned = [0]
    assert await writing.write() == [0]
    assert writing.rows(0) == 5


async def test_the_cells_of_the_owner_before_are_taken_over(writing: Writing) -> None:
    writing.table.values[0] = Days({3: {"m": Cell(rows=10)}})
    writing.owned, writing.counted = [0], of(5)
    await writing.write()
    assert writing.rows(0) == 15
    writing.table.values[0] = Days({3: {"m": Cell(rows=100)}})  # of an owner in between
    writing.assignment.generation, writing.counted = 2, of(1)
    await writing.write()
    assert writing.rows(0) == 101


async def test_what_a_former_owner_has_written_over_is_written_again(writing: Writing) -> None:
    writing.owned, writing.counted = [0], of(5)
    await writing.write()
    writing.table.values[0] = Days()
    assert await writing.write() == [0]
    assert writing.rows(0) == 5
