"""Caps are checked while the policy has some, with what the heartbeats of others tell."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from types import SimpleNamespace
from typing import Any, cast

import pytest

from agents.caps import Caps
from fraudapp.condition import Condition
from models.policies.shares import Counts
from tables.heartbeats import Heartbeat
from tests.support.memory import MemoryTable, until
from tests.unit.tables.test_heartbeats import heartbeat

VERSION = "3+17"


class Bench:
    """A watch that takes down what it is asked, and all that it needs to be asked."""

    def __init__(self) -> None:
        self.table = MemoryTable[Heartbeat]()
        self.is_needed = self.urgent = False
        self.told = 0
        self.checks: list[tuple[list[Counts], bool]] = []
        self.partitions: list[int] = []
        self.changed = Condition()
        control = SimpleNamespace(changed=self.changed, in_force=SimpleNamespace(version=VERSION))
        worker = SimpleNamespace(
            parts=lambda: SimpleNamespace(control=control),
            assignment=SimpleNamespace(partitions=self.partitions),
        )
        self.caps = Caps(
            cast("Any", worker),
            cast("Any", SimpleNamespace(name="me")),
            cast("Any", self.table),
            cast("Any", self),
            cast("Any", self),
        )

    def is_urgent(self) -> bool:
        return self.urgent

    def tell_counts(self) -> None:
        self.told += 1

    async def check(self, others: Callable[[], Iterable[Counts]], *, is_first: bool) -> None:
        self.checks.append(([*others()], is_first))


@pytest.fixture
async def bench() -> Bench:
    return Bench()


async def test_the_counts_of_others_come_from_their_heartbeats(bench: Bench) -> None:
    bench.table.values = {
        0: heartbeat("me", VERSION, Counts(1)),
        1: heartbeat("other", VERSION, Counts(2)),
    }
    await bench.caps.check()
    assert bench.checks == [([Counts(2)], False)]


async def test_the_owner_of_the_first_partition_is_first(bench: Bench) -> None:
    bench.partitions += [2, 0]
    await bench.caps.check()
    assert bench.checks == [([], True)]


async def test_counts_are_told_at_once_only_while_it_is_urgent(bench: Bench) -> None:
    await bench.caps.check()
    assert bench.told == 0
    bench.urgent = True
    await bench.caps.check()
    assert bench.told == 1


async def test_nothing_is_checked_while_the_policy_has_no_caps(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agents.caps.CHECK_INTERVAL", 0.0)
    following = asyncio.create_task(bench.caps.follow())
    bench.changed.notify()
    for _ in range(5):
        await asyncio.sleep(0)
    assert bench.checks == []
    bench.is_needed = True
    bench.changed.notify()
    await until(lambda: len(bench.checks) > 2)
    following.cancel()
    await asyncio.wait([following])
