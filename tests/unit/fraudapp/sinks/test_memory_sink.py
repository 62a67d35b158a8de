"""The sink of unit tests keeps the contract of the real ones; it also holds and refuses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from fraudapp.sinks.base import DecisionRejected
from models.records import Decision
from tests.contracts.sinks import BATCH, KEPT, Case, RowsContract, SinkContract
from tests.support.memory import MemorySink


@dataclass
class MemoryCase(Case):
    memory: MemorySink

    def down(self) -> None:
        self.memory.up = False

    def back(self) -> None:
        self.memory.up = True


@pytest.fixture
def sink() -> MemorySink:
    return MemorySink()


@pytest.fixture
def case(sink: MemorySink) -> MemoryCase:
    async def read() -> dict[str, Decision]:
        return dict(sink.decisions)

    return MemoryCase(sink, read, sink)


class TestMemorySink(SinkContract, RowsContract):
    pass


async def test_held_saves_finish_once_the_sink_is_resumed(sink: MemorySink) -> None:
    sink.hold()
    saving = asyncio.create_task(sink.save(BATCH))
    await sink.held()
    assert sink.decisions == {}
    sink.go_on()
    await saving
    assert sink.decisions == KEPT


async def test_a_batch_with_a_poison_row_is_refused_as_a_whole(sink: MemorySink) -> None:
    sink.refused = {"t7"}
    with pytest.raises(DecisionRejected, match="t7"):
        await sink.save(BATCH)
    assert sink.decisions == {}
