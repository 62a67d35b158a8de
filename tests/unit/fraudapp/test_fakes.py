"""What stands in for a part of the application in unit tests is called as that part is."""

from __future__ import annotations

from typing import Any

import pytest

from fraudapp.decisions.listener import DecisionListener
from fraudapp.decisions.log import DecisionLog
from fraudapp.decisions.reader import LogReader
from fraudapp.kafka.consumer import SafeConsumer
from fraudapp.kafka.producer import BatchProducer
from fraudapp.sinks.base import DecisionSink
from fraudapp.sinks.progress import Progress
from tables.global_table import ByPartition
from tests.support import memory
from tests.support.memory import same_signature

PAIRS: dict[type[Any], type[Any]] = {
    memory.MemoryBroker: BatchProducer,
    memory.MemoryConsumption: SafeConsumer,
    memory.MemoryDecisionLog: DecisionLog,
    memory.MemoryListener: DecisionListener,
    memory.MemoryLogReader: LogReader,
    memory.MemoryProgress: Progress,
    memory.MemorySink: DecisionSink,
    memory.MemoryTable: ByPartition,
}
OWN = {"close", "fail", "go_on", "held", "hold", "put"}
"""What only the tests call."""


def methods(kind: type[Any]) -> list[str]:
    return [name for name, each in vars(kind).items() if callable(each) and name[0] != "_"]


@pytest.mark.parametrize("fake", PAIRS, ids=lambda fake: fake.__name__)
def test_each_method_is_called_as_that_of_the_real_one(fake: type[Any]) -> None:
    names = [name for name in methods(fake) if name not in OWN]
    assert names
    for name in names:
        assert same_signature(getattr(fake, name), getattr(PAIRS[fake], name)), name


def test_functions_that_are_called_otherwise_are_told_apart() -> None:
    def one(a: int, *, b: int = 0) -> None: ...
    def alike(c: str, *, b: int = 0) -> None: ...
    def other(a: int, *, c: int = 0) -> None: ...
    def another(a: int, b: int = 0) -> None: ...

    assert same_signature(one, alike)
    assert not same_signature(one, other)
    assert not same_signature(one, another)
