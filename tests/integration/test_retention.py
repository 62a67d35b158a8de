"""Expired days are dropped slowly, after a warning, and only if the clocks agree."""

from __future__ import annotations

import logging
import re
from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from fraudapp.decisions.batch import Batch
from fraudapp.settings import Settings, load
from fraudapp.sinks.all import Sinks
from fraudapp.sinks.expiry import MAX_CLOCK_DIFFERENCE, MAX_DAYS_PER_LOOK
from fraudapp.sinks.retention import INTERVAL, Retention
from tests.support.decisions import decision

DAY = timedelta(days=1)
NOW = datetime.now(timezone.utc)
TODAY = NOW.date()
AGES = (0, 5, 6, 7, 8, 9)
"""In days; a test may go on over midnight, so none is near what is kept."""
KEPT = "2"


@pytest.fixture(params=["folder", "s3"])
def settings(request: pytest.FixtureRequest, postgres_url: str, tmp_path: Path) -> Settings:
    environment = {"FRAUD_ARCHIVE_URL": tmp_path.as_uri()}
    if request.param == "s3":
        bucket = request.getfixturevalue("s3_bucket")
        s3 = request.getfixturevalue("s3").settings
        environment = {**s3, "FRAUD_ARCHIVE_URL": f"s3://{bucket}/prefix"}
    return load(
        {
            **environment,
            "FRAUD_POSTGRES_URL": postgres_url,
            "FRAUD_POSTGRES_DAYS": KEPT,
            "FRAUD_ARCHIVE_DAYS": KEPT,
        }
    )


@pytest.fixture
async def sinks(settings: Settings) -> AsyncIterator[Sinks]:
    sinks = Sinks(settings)
    decisions = [decision(f"t{age}", offset=age, decided_at=NOW - age * DAY) for age in AGES]
    for sink in (sinks.postgres, sinks.archive):
        await sink.open()
        await sink.save(Batch(decisions))
    yield sinks
    for each in sinks.each:
        await each.close()


class Looks:
    """A worker's looks, the right time apart."""

    def __init__(self, settings: Settings, sinks: Sinks, drops: bool = True) -> None:
        self.drops = drops
        self.marked: list[tuple[str, date]] = []
        self._retention = Retention(settings, sinks, self._mark, lambda: self.drops)
        self._at = 0.0

    async def look(self, ahead: timedelta = timedelta(0), after: float = INTERVAL) -> None:
        self._at += after
        await self._retention.look_after(datetime.now(timezone.utc) + ahead, self._at)

    async def _mark(self, sink: str, before: date) -> None:
        self.marked.append((sink, before))


async def ages(sinks: Sinks) -> list[list[int]]:
    """Of the days with decisions in Postgres, and in the archive."""
    found = await sinks.postgres.find([f"t{age}" for age in AGES])
    archived = [(TODAY - day).days for day in await sinks.archive.days()]
    return [sorted(int(each[1:]) for each in found), sorted(archived)]


async def test_what_has_expired_is_announced_and_goes_at_later_looks_some_days_at_a_time(
    settings: Settings, sinks: Sinks, caplog: pytest.LogCaptureFixture
) -> None:
    looks = Looks(settings, sinks)
    left = list(AGES)
    await looks.look()
    assert await ages(sinks) == [left, left]
    told = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    settings_of = {"postgres": "FRAUD_POSTGRES_DAYS=2", "archive": "FRAUD_ARCHIVE_DAYS=2"}
    for sink, setting in settings_of.items():
        (sentence,) = [each for each in told if each.startswith(sink)]
        assert f"{TODAY - 9 * DAY} and {TODAY - 8 * DAY} are dropped from" in sentence
        assert setting in sentence
        assert str(TODAY - 7 * DAY) not in sentence
    await looks.look(after=INTERVAL / 3)  # too soon
    assert await ages(sinks) == [left, left]
    while left != [0]:
        await looks.look()
        left = [0, *left[1:][:-MAX_DAYS_PER_LOOK]]
        assert await ages(sinks) == [left, left]
    await looks.look()
    assert await ages(sinks) == [[0], [0]]
    days = [TODAY - 7 * DAY, TODAY - 5 * DAY, TODAY - 4 * DAY]  # the first that are kept
    assert looks.marked == [(name, day) for day in days for name in ("postgres", "archive")]


@pytest.mark.parametrize(
    "ahead", [365 * DAY, -365 * DAY, 2 * MAX_CLOCK_DIFFERENCE, -2 * MAX_CLOCK_DIFFERENCE]
)
async def test_nothing_goes_while_the_clocks_of_worker_and_database_disagree(
    settings: Settings, sinks: Sinks, caplog: pytest.LogCaptureFixture, ahead: timedelta
) -> None:
    looks = Looks(settings, sinks)
    for _ in range(4):
        await looks.look(ahead)
    await looks.look()  # right again: what was due in the meantime was never announced
    await looks.look(ahead)
    await looks.look()
    assert await ages(sinks) == [list(AGES), list(AGES)]
    told = [each.getMessage() for each in caplog.records]
    sentence = next(each for each in told if "set the one that is wrong" in each)
    here, there = map(
        datetime.fromisoformat, re.findall(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", sentence)
    )
    assert abs(here - there - ahead) < MAX_CLOCK_DIFFERENCE / 2
    # Today's decisions have a place in the meantime.
    await sinks.postgres.save(Batch([decision("t0-later", decided_at=datetime.now(timezone.utc))]))


async def test_a_worker_that_starts_again_and_again_drops_nothing(
    settings: Settings, sinks: Sinks
) -> None:
    for _ in range(5):
        again = Sinks(settings)
        for sink in (again.postgres, again.archive):
            await sink.open()
        await Looks(settings, again).look()
        for each in again.each:
            await each.close()
    assert await ages(sinks) == [list(AGES), list(AGES)]


async def test_of_several_workers_one_drops(settings: Settings, sinks: Sinks) -> None:
    looks = [Looks(settings, sinks, drops=number == 0) for number in range(4)]
    for _ in range(2):
        for each in looks:
            await each.look()
    left = list(AGES)[:-MAX_DAYS_PER_LOOK]
    assert await ages(sinks) == [left, left]
    looks[0].drops, looks[1].drops = False, True  # which then begins with a sentence
    for each in looks:
        await each.look()
    assert await ages(sinks) == [left, left]


async def test_a_setting_that_is_taken_back_in_time_keeps_what_was_announced(
    settings: Settings, sinks: Sinks
) -> None:
    await Looks(settings, sinks).look()
    kept = settings.model_copy(update={"postgres_days": None, "archive_days": 30})
    again = Looks(kept, sinks)
    for _ in range(3):
        await again.look()
    assert await ages(sinks) == [list(AGES), list(AGES)]


async def test_a_database_without_a_schema_is_looked_after_next_time(
    postgres_url: str, tmp_path: Path
) -> None:
    settings = load(
        {"FRAUD_POSTGRES_URL": postgres_url, "FRAUD_ARCHIVE_URL": tmp_path.as_uri()}
        | {"FRAUD_POSTGRES_DAYS": "1"}
    )
    sinks = Sinks(settings)
    looks = Looks(settings, sinks)
    await looks.look()
    await sinks.postgres.open()
    await looks.look()
    await sinks.postgres.close()
