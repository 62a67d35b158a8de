"""`purge` marks, then deletes; it asks before, and a sink that is down has an exit code."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta, timezone

import click
import pytest
from click.testing import CliRunner, Result

from fraudapp.commands import purge
from fraudapp.settings import Settings, load
from fraudapp.sinks.all import Sinks
from fraudapp.sinks.purge import CannotMark
from tests.support.decisions import decision
from tests.support.memory import MemorySink

DAYS = [date(2020, 1, day) for day in (1, 2, 3)]
BEFORE = ("--before", "2020-01-03")


class Closing(MemorySink):
    """A sink that counts how often it was closed, with Postgres's clock."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.closed = 0
        self.now = datetime(2020, 6, 1, tzinfo=timezone.utc)
        for day in DAYS:
            at = datetime(day.year, day.month, day.day, 6, tzinfo=timezone.utc)
            self.decisions[str(day)] = decision(str(day), decided_at=at)

    async def close(self) -> None:
        self.closed += 1

    async def clock(self) -> datetime:
        self._check()
        return self.now

    @property
    def days(self) -> list[date]:
        return sorted({each.decided_at.date() for each in self.decisions.values()})


class Bench:
    """The three sinks, and the marks that were made."""

    def __init__(self) -> None:
        self.redis, self.postgres, self.archive = map(Closing, ("redis", "postgres", "archive"))
        self.each = (self.redis, self.postgres, self.archive)
        self.marks: list[tuple[list[str], date, bool]] = []
        self.cannot: CannotMark | None = None

    async def mark(
        self, settings: Settings, sinks: Iterable[str], before: date, *, take_back: bool = False
    ) -> None:
        assert all(len(sink.days) == len(DAYS) for sink in self.each), "deleted before the mark"
        if self.cannot:
            raise self.cannot
        self.marks.append((sorted(sinks), before, take_back))

    def left(self) -> list[int]:
        return [len(sink.days) for sink in self.each]


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench()
    monkeypatch.setattr(purge, "Sinks", lambda settings: bench)
    monkeypatch.setattr(purge, "mark", bench.mark)
    return bench


def run(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(purge.command, arguments, input=answer)


def lines(result: Result, done: str) -> list[str]:
    return [line for line in result.output.splitlines() if line.endswith(f" {done}")]


def test_earlier_days_are_marked_and_deleted_everywhere(bench: Bench) -> None:
    done = run(*BEFORE, "--yes")
    assert done.exit_code == 0, done.output
    assert bench.marks == [(["archive", "postgres", "redis"], DAYS[2], False)]
    assert [sink.days for sink in bench.each] == [[DAYS[2]]] * 3
    assert lines(done, "deleted") == [
        "redis: 2 decisions from before 2020-01-03 (UTC) deleted",
        "postgres: 2 decisions and labels from before 2020-01-03 (UTC) deleted",
        "archive: 2 files from before 2020-01-03 (UTC) deleted",
    ]
    assert "Not purged: the topic " in done.output
    assert all(sink.closed for sink in bench.each)


def test_a_dry_run_counts_and_changes_nothing(bench: Bench) -> None:
    done = run(*BEFORE, "--dry-run")
    assert done.exit_code == 0
    assert len(lines(done, "would be deleted")) == 3
    assert (bench.marks, bench.left()) == ([], [3, 3, 3])


@pytest.mark.parametrize("answer", ["n\n", ""])
def test_who_does_not_say_yes_keeps_all(bench: Bench, answer: str) -> None:
    done = run(*BEFORE, answer=answer)
    assert done.exit_code == 1
    assert len(lines(done, "would be deleted")) == 3
    assert "Delete them for good?" in done.output
    assert (bench.marks, bench.left()) == ([], [3, 3, 3])


def test_who_says_yes_has_seen_the_numbers_before(bench: Bench) -> None:
    done = run(*BEFORE, answer="y\n")
    assert done.exit_code == 0
    seen, _, after = done.output.partition("Delete them for good?")
    assert seen.count("would be deleted") == 3
    assert after.count(" deleted\n") == 3
    assert bench.left() == [1, 1, 1]


@pytest.mark.parametrize(("down", "code"), [("postgres", 3), ("archive", 4), ("redis", 5)])
def test_a_sink_that_is_down_gives_the_exit_code_and_the_others_are_purged(
    bench: Bench, down: str, code: int
) -> None:
    getattr(bench, down).up = False
    done = run(*BEFORE, "--yes")
    assert done.exit_code == code
    others = [sink.name for sink in bench.each if sink.name != down]
    assert f"Error: {down}: down; see FRAUD_{down.upper()}_URL." in done.output
    assert f"Purge again then; purged: {', '.join(others)}." in done.output
    assert [sink.days == [DAYS[2]] for sink in bench.each] == [
        sink.name != down for sink in bench.each
    ]


def test_every_sink_that_is_down_is_named_and_the_first_gives_the_exit_code(bench: Bench) -> None:
    bench.redis.up = bench.archive.up = False
    done = run(*BEFORE, "--yes")
    assert done.exit_code == 5
    for name in ("redis", "archive"):
        assert f"Error: {name}: down" in done.output
    assert bench.left() == [3, 1, 3]


def test_who_is_asked_learns_before_which_sink_cannot_be_purged(bench: Bench) -> None:
    bench.archive.up = False
    done = run(*BEFORE, answer="n\n")
    before, asked, _ = done.output.partition("Delete them for good?")
    assert "Error: archive: down; see FRAUD_ARCHIVE_URL. It cannot be purged now." in before
    assert asked
    assert done.exit_code == 1


@pytest.mark.parametrize("arguments", [(), ("--dry-run",)])
def test_nobody_is_asked_if_no_sink_answers(bench: Bench, arguments: tuple[str, ...]) -> None:
    for sink in bench.each:
        sink.up = False
    done = run(*BEFORE, *arguments)
    assert done.exit_code == 5
    assert "Delete them" not in done.output
    assert done.output.count("Nothing was deleted.") == 3
    assert bench.marks == []


def test_what_cannot_be_marked_is_not_deleted(bench: Bench) -> None:
    bench.cannot = CannotMark("FRAUD_BROKER_URL=kafka://a: no route")
    done = run(*BEFORE, "--yes")
    assert done.exit_code == 1
    assert "Error: FRAUD_BROKER_URL=kafka://a: no route. Nothing was changed." in done.output
    assert bench.left() == [3, 3, 3]


def test_a_purge_can_be_taken_back_and_deletes_nothing_then(bench: Bench) -> None:
    refused = run(*BEFORE, "--take-back", answer="n\n")
    assert (refused.exit_code, bench.marks) == (1, [])
    done = run(*BEFORE, "--take-back", "--yes")
    assert done.exit_code == 0
    assert bench.marks == [(["archive", "postgres", "redis"], DAYS[2], True)]
    assert bench.left() == [3, 3, 3]
    assert done.output.startswith("decisions made since 2020-01-03 (UTC) are saved")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--before", "9999-12-31", "--yes"), "9999-12-31 is in the future, it is "),
        (("--before", "2020-06-02", "--yes"), "by which it is 2020-06-01 (UTC)"),
        ((*BEFORE, "--take-back", "--dry-run"), "leave out --dry-run"),
        (("--before", "03.01.2020", "--yes"), "does not match the format"),
        (("--yes",), "Missing option '--before'"),
    ],
)
def test_an_argument_that_is_wrong_is_refused_with_nothing_done(
    bench: Bench, arguments: tuple[str, ...], words: str
) -> None:
    done = run(*arguments)
    assert done.exit_code == click.UsageError.exit_code
    assert words in " ".join(done.output.split())
    assert (bench.marks, bench.left()) == ([], [3, 3, 3])


def test_the_day_of_the_database_is_its_day_in_utc(bench: Bench) -> None:
    zone = timezone(timedelta(hours=14))
    bench.postgres.now = datetime(2020, 1, 3, 6, tzinfo=zone)  # still the 2nd in UTC
    done = run(*BEFORE, "--yes")
    assert done.exit_code == click.UsageError.exit_code
    assert "by which it is 2020-01-02 (UTC)" in " ".join(done.output.split())


async def test_each_sink_has_a_unit() -> None:
    assert {sink.name for sink in Sinks(load({})).each} == set(purge.UNITS)
