"""Retention makes partitions, and drops what has expired only when all agree that it has."""

from __future__ import annotations

import asyncio
import logging
from datetime import date, datetime, timedelta, timezone
from types import SimpleNamespace
from typing import Any, cast

import pytest

from fraudapp.settings import load
from fraudapp.sinks import retention
from fraudapp.sinks.all import Sinks
from fraudapp.sinks.base import SinkUnavailable
from fraudapp.sinks.expiry import MAX_CLOCK_DIFFERENCE, NOTICE_PERIOD
from fraudapp.sinks.retention import Mark, Retention
from tests.support.decisions import decision
from tests.support.memory import MemorySink

NOW = datetime(2026, 3, 20, 12, 0, tzinfo=timezone.utc)
KEPT = 10
"""Days that both sinks keep."""
OLD = [date(2026, 3, day) for day in (1, 2, 3)]
NEW = date(2026, 3, 19)


class Dated(MemorySink):
    """A sink that keeps decisions by day, and Postgres's clock."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.now = NOW
        self.maintained: list[date] = []
        for day in (*OLD, NEW):
            at = datetime(day.year, day.month, day.day, 6, tzinfo=timezone.utc)
            self.decisions[str(day)] = decision(str(day), decided_at=at)

    async def days(self) -> list[date]:
        return sorted({each.decided_at.date() for each in self.decisions.values()})

    async def clock(self) -> datetime:
        self._check()
        return self.now

    async def maintain(self, today: date) -> None:
        self._check()
        self.maintained.append(today)


class Bench:
    """A retention with both sinks in memory, and the marks that it makes."""

    def __init__(self, **environ: str) -> None:
        self.postgres, self.archive = Dated("postgres"), Dated("archive")
        self.marks: list[tuple[str, date]] = []
        self.mark: Mark = self._mark
        self.drops = True
        self.at = 0.0
        sinks = SimpleNamespace(postgres=self.postgres, archive=self.archive)
        self.retention = Retention(
            load({f"FRAUD_{name}": value for name, value in environ.items()}),
            cast(Sinks, sinks),
            lambda sink, before: self.mark(sink, before),
            lambda: self.drops,
        )

    async def _mark(self, sink: str, before: date) -> None:
        self.marks.append((sink, before))

    async def look(self, here: datetime = NOW, after: float = NOTICE_PERIOD) -> None:
        self.at += after
        await self.retention.look_after(here, self.at)


@pytest.fixture
async def bench(caplog: pytest.LogCaptureFixture) -> Bench:
    caplog.set_level(logging.WARNING, retention.__name__)
    return Bench(POSTGRES_DAYS=str(KEPT))


async def test_days_are_announced_marked_and_dropped_and_others_stay(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.look()
    assert await bench.postgres.days() == [*OLD, NEW]
    assert "in 10 minutes the decisions of 2026-03-01 and 2026-03-02 are dropped" in caplog.text
    assert "the first of 3 expired days: FRAUD_POSTGRES_DAYS=10" in caplog.text
    caplog.clear()
    await bench.look()
    assert await bench.postgres.days() == [OLD[2], NEW]
    assert bench.marks == [("postgres", OLD[2])]  # nothing is left before this day
    assert "dropped 2026-03-01 and 2026-03-02, as announced" in caplog.text
    await bench.look()
    assert await bench.postgres.days() == [NEW]
    assert bench.marks[-1] == ("postgres", OLD[2] + timedelta(days=1))
    await bench.look()
    assert len(bench.marks) == 2


async def test_a_day_is_marked_before_it_is_dropped(bench: Bench) -> None:
    order: list[str] = []

    async def mark(sink: str, before: date) -> None:
        order.append(f"{len(await bench.postgres.days())} days")

    bench.mark = mark
    await bench.look()
    await bench.look()
    assert order == ["4 days"]
    assert len(await bench.postgres.days()) == 2


async def test_a_sink_without_a_number_of_days_keeps_all(bench: Bench) -> None:
    for _ in range(4):
        await bench.look()
    assert await bench.archive.days() == [*OLD, NEW]


async def test_each_sink_has_a_number_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    bench = Bench(ARCHIVE_DAYS="17", ARCHIVE_URL="s3://bucket/there")
    for _ in range(3):
        await bench.look()
    assert await bench.archive.days() == [OLD[2], NEW]
    assert await bench.postgres.days() == [*OLD, NEW]
    assert "are dropped from s3://bucket/there/decisions" in caplog.text
    assert "FRAUD_ARCHIVE_DAYS=17" in caplog.text


async def test_partitions_are_made_by_the_clock_of_the_database_whoever_drops(
    bench: Bench,
) -> None:
    bench.drops = False
    bench.postgres.now = NOW + timedelta(days=40)
    await bench.look()
    assert bench.postgres.maintained == [(NOW + timedelta(days=40)).date()]


async def test_a_worker_that_does_not_drop_forgets_what_it_announced(bench: Bench) -> None:
    await bench.look()
    bench.drops = False
    await bench.look()
    bench.drops = True
    await bench.look()
    assert bench.marks == []  # it was announced anew
    await bench.look()
    assert bench.marks


async def test_clocks_that_disagree_drop_nothing_and_take_the_announcement_back(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.look()
    await bench.look(NOW + MAX_CLOCK_DIFFERENCE + timedelta(seconds=1))
    assert "postgres: no expired day is dropped for now: it is 2026-03-20" in caplog.text
    await bench.look()
    assert bench.marks == []
    await bench.look()
    assert bench.marks


async def test_a_day_that_could_not_be_marked_stays(
    bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def hangs(sink: str, before: date) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(retention, "MARK_TIMEOUT", 0.001)
    working, bench.mark = bench.mark, hangs
    await bench.look()
    await bench.look()
    assert await bench.postgres.days() == [*OLD, NEW]
    assert "postgres: no expired day is dropped for now: the broker does not answer" in caplog.text
    bench.mark = working
    for _ in range(2):
        await bench.look()
    assert await bench.postgres.days() == [OLD[2], NEW]


async def test_a_database_that_is_down_has_its_turn_at_the_next_look(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    bench.postgres.up = False
    await bench.look()
    assert "no expired day is dropped for now: postgres: down" in caplog.text
    assert bench.postgres.maintained == []
    bench.postgres.up = True
    await bench.look()
    assert bench.postgres.maintained == [NOW.date()]


async def test_an_archive_that_is_down_does_not_hold_up_the_database(
    caplog: pytest.LogCaptureFixture,
) -> None:
    bench = Bench(ARCHIVE_DAYS=str(KEPT), POSTGRES_DAYS=str(KEPT))

    async def down() -> Any:
        raise SinkUnavailable("archive: down")

    bench.archive.ping = down  # type: ignore[method-assign]
    for _ in range(2):
        await bench.look()
    assert [sink for sink, _ in bench.marks] == ["postgres"]
    assert "no expired day is dropped for now: archive: down" in caplog.text
    assert await bench.archive.days() == [*OLD, NEW]
