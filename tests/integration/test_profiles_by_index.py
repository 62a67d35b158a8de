"""Profiles take what is read for the index of a partition, and come to the same as without it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from fraudapp.decisions.catch_ups import Read
from fraudapp.decisions.log_records import LogRecord
from fraudapp.profiles.folding import Folded
from fraudapp.profiles.log_follower import LogFollower
from fraudapp.settings import load
from models.records import Decision
from tests.integration.test_profile_store import (
    PARTITIONS,
    Bench,
    Site,
    alike,
    bench,
    environment,
    eventually,
    ready,
)

__all__ = ["bench", "environment"]  # fixtures


class Gate:
    """Lets the indexes of a worker read the log only once it is open, and counts what is fetched.

    After what they get at first they wait until it `goes_on`. What profiles fetch themselves
    counts, not what they are given.
    """

    def __init__(self, site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
        self.open = asyncio.Event()
        self.goes_on = asyncio.Event()
        self.goes_on.set()
        self.fetched = 0
        self._read = site.log._reader.read
        monkeypatch.setattr(site.log._reader, "read", self._gated)
        take = LogFollower.take

        def counted(
            follower: LogFollower, folded: Folded, partition: int, raw: Sequence[ConsumerRecord]
        ) -> None:
            if follower is site.profiles._log:
                self.fetched += len(raw)
            take(follower, folded, partition, raw)

        monkeypatch.setattr(LogFollower, "take", counted)

    async def _gated(self, partition: int, start: int, end: int) -> AsyncIterator[list[LogRecord]]:
        if end > start + 1:  # one alone is looked at to know whether the log is the same
            await self.open.wait()
        async for records in self._read(partition, start, end):
            yield records
            await self.goes_on.wait()


def has_turned(site: Site, since: float) -> bool:
    """Whether the profiles have ended a turn since another one."""
    return site.profiles._turned_at > since


def is_left_to_indexes(site: Site) -> bool:
    """Whether the profiles wait for what is read for all indexes."""
    follower = site.profiles._log
    return len(follower._left_to_index) == PARTITIONS


async def fill(bench: Bench, site: Site, many: int) -> list[Decision]:
    """Append decisions to all partitions, some of them twice, by a worker that does not look."""
    made = []
    for partition in range(PARTITIONS):
        decisions = bench.made(partition, *["C1", "C2", "C3"] * many)
        await site.append(partition, [*decisions, *decisions[-5:], *decisions[:5]])
        made += decisions
    return made


async def held(
    bench: Bench, name: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[Site, Gate, asyncio.Future[Any]]:
    """Start a worker that is about to read its indexes, which the profiles leave it all to."""
    settings = load({**bench.environment, "FRAUD_DATA_DIR": str(bench.folder / name)})
    site = Site(settings)
    bench.sites.append(site)
    await site.producer.start()
    await site.log.open()
    gate = Gate(site, monkeypatch)
    reading = begin(site)
    await eventually(lambda: all(site.log.reading(each) == 0 for each in range(PARTITIONS)))
    await site.profiles.start()
    await eventually(lambda: is_left_to_indexes(site))
    return site, gate, reading


def begin(site: Site) -> asyncio.Future[Any]:
    """Begin to read the indexes of all partitions."""
    generation = next(Site.generations)
    return asyncio.gather(*(site.log.ready(each, generation) for each in range(PARTITIONS)))


async def come_to_the_same(one: Site, other: Site, reading: asyncio.Future[Any]) -> None:
    """Let a site take over all partitions, and return once its profiles are those of another."""
    await reading
    one.profiles.on_assigned(range(PARTITIONS))
    await ready(one)
    await eventually(lambda: alike(one, other))


async def test_what_is_read_for_indexes_is_not_fetched_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = await bench.site("follower")
    await fill(bench, follower, 400)
    one, gate, reading = await held(bench, "one", monkeypatch)
    assert not one.profiles.is_ready
    fetched = gate.fetched
    gate.open.set()
    await ready(follower)
    await come_to_the_same(one, follower, reading)
    assert gate.fetched == fetched
    for partition in range(PARTITIONS):
        assert await one.decide(partition, bench.made(partition, "C1"))
    await eventually(lambda: alike(one, follower))
    assert one.sent()["C1"] == 400.0 * PARTITIONS + PARTITIONS


async def test_indexes_that_are_half_read_are_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = await bench.site("follower")
    await fill(bench, follower, 400)
    one, gate, reading = await held(bench, "one", monkeypatch)
    fetched, folded = gate.fetched, one.profiles._folded
    assert folded is not None

    def taken_once(read: Read) -> None:
        before = folded.decisions.copy()
        one.profiles.take_read(read)
        if folded.decisions != before:
            gate.goes_on.clear()

    monkeypatch.setattr(one.log, "on_read", taken_once)
    gate.open.set()
    await eventually(lambda: not gate.goes_on.is_set())
    for _ in range(2):  # the first one may have begun before
        turned = one.profiles._turned_at
        await eventually(partial(has_turned, one, since=turned))
    assert is_left_to_indexes(one)
    assert gate.fetched == fetched
    monkeypatch.setattr(one.log, "on_read", one.profiles.take_read)
    gate.goes_on.set()
    await come_to_the_same(one, follower, reading)


async def test_indexes_that_are_read_no_more_are_not_waited_for(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    follower = await bench.site("follower")
    await fill(bench, follower, 50)
    one, gate, reading = await held(bench, "one", monkeypatch)
    reading.cancel()
    with suppress(asyncio.CancelledError):
        await reading
    one.profiles.on_assigned([])
    await ready(one)
    await eventually(lambda: alike(one, follower))
    assert one.sent()["C1"] == 50.0 * PARTITIONS
    gate.open.set()


async def test_profiles_that_have_read_some_take_only_the_rest(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, follower = await bench.site("one"), await bench.site("follower")
    await fill(bench, follower, 50)
    await ready(one)
    await eventually(lambda: one.sent()["C1"] == 50.0 * PARTITIONS)
    await bench.stop(one)
    await fill(bench, follower, 50)
    again, gate, reading = await held(bench, "one", monkeypatch)
    fetched = gate.fetched
    gate.open.set()
    await come_to_the_same(again, follower, reading)
    assert again.sent()["C1"] == 100.0 * PARTITIONS
    assert gate.fetched == fetched


async def test_indexes_that_are_ahead_are_no_help(bench: Bench) -> None:
    one, follower = await bench.site("one"), await bench.site("follower")
    await fill(bench, follower, 50)
    await begin(one)
    await bench.stop(one)
    shutil.rmtree(bench.folder / "one" / "profiles")
    again = await bench.site("one")
    await come_to_the_same(again, follower, begin(again))
    assert again.sent()["C1"] == 50.0 * PARTITIONS


async def test_a_partition_that_is_taken_away_while_it_is_read_is_followed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = await bench.site("other")
    await fill(bench, other, 50)
    one, gate, reading = await held(bench, "one", monkeypatch)
    gate.open.set()
    await reading
    await other.own(*range(PARTITIONS))
    one.profiles.on_assigned([])  # it has never been told that they were its own
    for partition in range(PARTITIONS):
        assert await other.decide(partition, bench.made(partition, "C1"))
    await eventually(lambda: alike(one, other))
    assert one.sent()["C1"] == 51.0 * PARTITIONS


async def test_a_partition_that_others_decided_meanwhile_is_not_left_to_its_index(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, other = await bench.site("one"), await bench.site("other")
    await one.own(*range(PARTITIONS))
    await ready(one)
    for partition in range(PARTITIONS):  # settled, and read by nobody here
        assert await one.decide(partition, bench.made(partition, "C1"))
    await other.own(*range(PARTITIONS))
    for partition in range(PARTITIONS):
        assert await other.decide(partition, bench.made(partition, "C2", "C3"))
    gate = Gate(one, monkeypatch)
    reading = begin(one)
    await eventually(lambda: all(one.log.reading(each) == 1 for each in range(PARTITIONS)))
    one.profiles.on_assigned([])  # none of them is ready yet
    await eventually(lambda: alike(one, other))
    gate.open.set()
    await reading
