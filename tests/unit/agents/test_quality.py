"""The cells of a partition are written by its owner, whenever the table has others."""

from __future__ import annotations

from copy import deepcopy
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agents.quality import QualityCells
from models.quality.cells import DecisionCells
from tables.quality import PartitionCells
from tests.support.decisions import decision
from tests.support.memory import MemoryTable


class Writing:
    """Writes the cells of partitions whose indexes the test makes."""

    def __init__(self) -> None:
        self.table = MemoryTable[PartitionCells]()
        self.indexes: dict[int, Any] = {}
        self.owned: list[int] = []
        decisions = SimpleNamespace(index=self.indexes.get)
        worker = SimpleNamespace(parts=lambda: SimpleNamespace(decisions=decisions))
        status = SimpleNamespace(owned=lambda: self.owned)
        self._cells = QualityCells(
            cast("Any", worker), cast("Any", status), cast("Any", self.table)
        )

    def decide(self, partition: int, id_: str) -> None:
        index = self.indexes.setdefault(
            partition, SimpleNamespace(next_offset=0, quality=DecisionCells())
        )
        index.next_offset += 1
        index.quality.add([decision(id_)])

    async def write(self) -> list[int]:
        """The partitions that are written now."""
        before = len(self.table.written)
        await self._cells.write()
        # The real table keeps a value as it is when it is written.
        self.table.values = deepcopy(self.table.values)
        return [partition for partition, _ in self.table.written[before:]]


@pytest.fixture
def writing() -> Writing:
    return Writing()


async def test_cells_are_written_once_they_have_changed(writing: Writing) -> None:
    writing.owned = [0, 2]
    writing.decide(0, "a")
    writing.decide(2, "b")
    assert await writing.write() == [0, 2]
    assert await writing.write() == []
    writing.decide(2, "c")
    assert await writing.write() == [2]
    assert writing.table.values[2].cursor == 2
    assert writing.table.values[2].cells.rows == 2


async def test_partitions_of_others_and_those_being_read_in_are_left_alone(
    writing: Writing,
) -> None:
    writing.owned = [1, 3]
    writing.decide(0, "a")
    writing.decide(1, "b")
    assert await writing.write() == [1]


async def test_what_a_former_owner_has_written_over_is_written_again(writing: Writing) -> None:
    writing.owned = [0]
    writing.decide(0, "a")
    await writing.write()
    writing.table.values[0] = PartitionCells(0, DecisionCells())
    assert await writing.write() == [0]
    writing.table.values[0] = PartitionCells(1, DecisionCells())  # of another log
    assert await writing.write() == [0]
    assert writing.table.values[0].cells.rows == 1
