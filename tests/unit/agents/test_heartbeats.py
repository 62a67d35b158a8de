"""A heartbeat is written if there is something new in it, or the last one is old."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from msgspec import UNSET, json
from msgspec.structs import replace

from agents.heartbeats import HEARTBEAT_INTERVAL, REPEAT_AFTER, Heartbeats
from fraudapp.decisions.batch import Batch
from fraudapp.decisions.catch_ups import Unread
from fraudapp.metrics import SinkState
from models.policies.shares import Counts
from tables.heartbeats import Heartbeat, SinkStatus
from tests.support.decisions import decision
from tests.support.memory import MemoryTable
from tests.unit.agents.bench import A, Bench, K

NAME = "host:8000"


class Pulse:
    """Heartbeats of a worker of which the test says how it does, and what time it is."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.table = MemoryTable[Heartbeat]()
        self.now = 1_000_000.0
        self.owned: list[int] = []
        self.unread: list[int] = []
        self.high_waters: dict[int, int] = {}
        self.stored: dict[int, int] = {}
        self.sinks: dict[str, SinkState] = {}
        worker = SimpleNamespace(parts=lambda: bench.started, stored=self.stored.get)
        status = SimpleNamespace(
            name=NAME,
            owned=lambda: self.owned,
            unread=lambda: self.unread,
            sinks=lambda: self.sinks,
            high_waters=lambda of: {each: self.high_waters[each] for each in of},
        )
        self.counts: Counts | None = None
        """What the worker counts for caps."""
        caps = SimpleNamespace(own=lambda: self.counts)
        self._heartbeats = Heartbeats(
            cast("Any", worker), cast("Any", status), cast("Any", self.table), cast("Any", caps)
        )

    async def own(self, *partitions: int) -> None:
        for each in partitions:
            await self.bench.log.ready(each, 1)
            self.high_waters[each] = 10 + each
        self.owned = [*partitions]

    async def decide(self, transaction_id: str, partition: int = 0) -> None:
        index = await self.bench.log.ready(partition, 1)
        batch = Batch([decision(transaction_id)])
        assert await self.bench.log.append(partition, batch, index.next_offset)

    def tell_counts(self) -> list[int]:
        """Return in the heartbeats of which partitions counts were told."""
        before = len(self.table.written)
        self._heartbeats.tell_counts()
        return [partition for partition, _ in self.table.written[before:]]

    async def beat(self, after: float = HEARTBEAT_INTERVAL) -> list[int]:
        """Return of which partitions a heartbeat was written."""
        self.now += after
        before = len(self.table.written)
        await self._heartbeats.beat()
        return [partition for partition, _ in self.table.written[before:]]


@pytest.fixture
async def pulse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Pulse]:
    bench = Bench(tmp_path)
    pulse = Pulse(bench)
    clock = SimpleNamespace(time=lambda: pulse.now, monotonic=time.monotonic)
    monkeypatch.setattr("agents.heartbeats.time", clock)
    yield pulse
    await bench.stop()


async def test_a_heartbeat_has_the_state_of_a_partition_and_of_its_owner(pulse: Pulse) -> None:
    await pulse.own(0, 1)
    await pulse.decide(A)
    pulse.stored[0] = 1
    pulse.sinks = {"redis": SinkState(3, True)}
    assert await pulse.beat() == [0, 1]
    index = pulse.bench.log.index(0)
    assert index
    told = pulse.table.values[0]
    assert replace(told, latency={}) == Heartbeat(
        worker=NAME,
        at=pulse.now,
        cursor=1,
        high_water=10,
        latency={},
        stores={"redis": SinkStatus(3, True)},
        model_version="fixed",
        policy_version=pulse.bench.started.control.in_force.version,
        activity=index.activity,
        stored=1,
    )
    assert (pulse.table.values[1].cursor, pulse.table.values[1].high_water) == (0, 11)


async def test_partitions_not_owned_or_without_an_index_get_no_heartbeat(
    pulse: Pulse,
) -> None:
    await pulse.own(0)
    await pulse.bench.log.ready(1, 1)
    assert await pulse.beat() == [0]
    pulse.owned = [0, 1]
    pulse.high_waters[1] = 0
    pulse.bench.log.recheck(1)
    assert await pulse.beat(REPEAT_AFTER) == [0]


async def test_an_unchanged_heartbeat_is_repeated_only_after_a_while(pulse: Pulse) -> None:
    await pulse.own(0)
    assert await pulse.beat() == [0]
    assert await pulse.beat(REPEAT_AFTER / 2) == []
    assert await pulse.beat(REPEAT_AFTER / 2) == [0]
    assert await pulse.beat(REPEAT_AFTER / 2) == []


@pytest.mark.parametrize("news", ["decision", "input", "sink", "stored"])
async def test_a_changed_heartbeat_is_written_at_once(pulse: Pulse, news: str) -> None:
    await pulse.own(0, 1)
    assert await pulse.beat() == [0, 1]
    expected = [1]
    if news == "decision":
        await pulse.decide(K, 1)
    elif news == "input":
        pulse.high_waters[1] += 1
    elif news == "stored":
        pulse.stored[1] = 5
    else:
        pulse.sinks = {"redis": SinkState(0, True)}
        expected = [0, 1]
    assert await pulse.beat() == expected
    assert await pulse.beat() == []


async def test_the_postgres_offset_is_taken_over_from_the_previous_owner(
    pulse: Pulse,
) -> None:
    await pulse.own(0)
    await pulse.beat()
    found = pulse.table.values[0]
    assert found.stored == 0
    pulse.table.values[0] = replace(found, worker="other", at=pulse.now, stored=7)
    await pulse.beat(REPEAT_AFTER)
    assert pulse.table.values[0].stored == 7
    assert pulse.bench.listener.kept[-1] == {0: 7}
    pulse.stored[0] = 4  # of this worker's own knowledge, once there is some
    await pulse.beat()
    assert pulse.table.values[0].stored == 4


async def test_heartbeats_found_at_the_start_do_not_give_the_postgres_offset(pulse: Pulse) -> None:
    await pulse.own(0)
    await pulse.beat()
    again = Pulse(pulse.bench)  # another start, with what the table has from before
    again.table.values[0] = replace(pulse.table.values[0], worker="other", stored=7)
    again.now = pulse.now
    await again.own(0)
    await again.beat()
    assert again.table.values[0].stored == 0
    assert again.bench.listener.kept[-1] == {}


async def test_while_an_index_is_read_the_heartbeat_has_the_records_left(pulse: Pulse) -> None:
    await pulse.own(0)
    await pulse.decide(A)
    pulse.stored[0] = 1
    await pulse.beat()
    before = replace(pulse.table.values[0], worker="other", model_version="another")
    pulse.table.values[0] = before
    pulse.owned, pulse.unread = [], [0, 1]
    pulse.bench.log.left = {0: Unread(500, 2.5), 1: Unread(9, None)}
    assert await pulse.beat() == [0]  # of 1 nobody has told anything yet
    told = pulse.table.values[0]
    assert (told.unread, told.unread_seconds, told.worker) == (500, 2.5, NAME)
    assert (told.cursor, told.activity) == (before.cursor, before.activity)
    assert told.model_version == "fixed"
    pulse.bench.log.left = {0: Unread(400, 2.0)}
    assert await pulse.beat() == [0]
    pulse.bench.log.left = {}
    assert await pulse.beat(REPEAT_AFTER) == []


async def test_without_caps_a_heartbeat_says_nothing_of_counts(pulse: Pulse) -> None:
    await pulse.own(0)
    await pulse.beat()
    assert pulse.table.values[0].for_caps is UNSET
    assert b"for_caps" not in json.encode(pulse.table.values[0])
    assert pulse.tell_counts() == []


async def test_counts_for_caps_are_told_with_every_beat_that_changes_them(pulse: Pulse) -> None:
    pulse.counts = Counts(10, {"": 3})
    await pulse.own(0, 1)
    assert await pulse.beat() == [0, 1]
    assert [each.for_caps for each in pulse.table.values.values()] == [pulse.counts] * 2
    pulse.counts = Counts(11, {"": 3})
    assert await pulse.beat() == [0, 1]
    pulse.counts = None
    assert await pulse.beat() == [0, 1]
    assert pulse.table.values[1].for_caps is UNSET


async def test_counts_are_told_between_beats_by_one_heartbeat_with_nothing_else_new(
    pulse: Pulse,
) -> None:
    await pulse.own(0, 1)
    await pulse.beat()
    before = pulse.table.values[0]
    pulse.high_waters[0] += 1
    pulse.counts = Counts(10, {"": 3})
    pulse.now += 0.25
    assert pulse.tell_counts() == [0]
    assert pulse.table.values[0] == replace(before, at=pulse.now, for_caps=pulse.counts)
    assert pulse.tell_counts() == []
    assert await pulse.beat() == [0, 1]


async def test_counts_are_not_told_in_what_another_worker_has_written(pulse: Pulse) -> None:
    await pulse.own(0, 1)
    await pulse.beat()
    pulse.table.values[0] = replace(pulse.table.values[0], worker="other", stored=7)
    pulse.counts = Counts(10, {"": 3})
    assert pulse.tell_counts() == [1]
    pulse.owned = []
    pulse.counts = Counts(11, {"": 3})
    assert pulse.tell_counts() == []
