"""`daily-report` prints the report of a day, and says by its exit code what it waits for."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest
from click.testing import CliRunner, Result
from msgspec import json

from fraudapp.commands import daily_report
from fraudapp.reports.daily import Cell, DailyReport, as_text, summarise
from fraudapp.reports.make import DayToCome
from fraudapp.reports.render import as_csv, as_html
from fraudapp.settings import Settings
from fraudapp.sinks.base import SinkUnavailable

DAY = date(2020, 1, 2)


class Bench:
    """Makes and publishes reports, or fails to."""

    def __init__(self) -> None:
        self.asked: list[tuple[date, datetime]] = []
        self.published: list[DailyReport] = []
        self.make_failure: Exception | None = None
        self.publish_failure: Exception | None = None

    async def make(self, settings: Settings, day: date, now: datetime) -> DailyReport:
        self.asked.append((day, now))
        if self.make_failure:
            raise self.make_failure
        return report(day)

    async def publish(self, settings: Settings, report: DailyReport) -> str:
        if self.publish_failure:
            raise self.publish_failure
        self.published.append(report)
        return f"reports/{report.date}.html"


def report(day: date) -> DailyReport:
    return summarise(day, [Cell("TRANSFER", "BLOCK", 1, 8, 80.0)])


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench()
    monkeypatch.setattr(daily_report, "make", bench.make)
    monkeypatch.setattr(daily_report, "publish", bench.publish)
    monkeypatch.setenv("FRAUD_ARCHIVE_URL", "s3://bucket/there")
    return bench


def run(*arguments: str) -> Result:
    return CliRunner().invoke(daily_report.command, arguments)


def printed(bench: Bench, style: str) -> str:
    done = run("--date", str(DAY), "--format", style)
    assert done.exit_code == 0
    assert [day for day, _ in bench.asked] == [DAY]
    assert bench.published == [report(DAY)]
    return done.stdout


def test_the_output_is_the_report_alone_so_that_programs_can_read_it(bench: Bench) -> None:
    done = run("--date", str(DAY))
    assert done.stdout == as_text(report(DAY)) + "\n"
    assert done.stderr == (
        "written to table daily_reports, and to s3://bucket/there/reports/2020-01-02.html\n"
    )


def test_a_report_is_printed_as_json(bench: Bench) -> None:
    assert json.decode(printed(bench, "json"), type=DailyReport) == report(DAY)


def test_a_report_is_printed_as_csv_without_a_line_too_many(bench: Bench) -> None:
    assert printed(bench, "csv").splitlines() == as_csv(report(DAY)).splitlines()


def test_a_report_is_printed_as_a_page(bench: Bench) -> None:
    assert printed(bench, "html") == as_html(report(DAY)) + "\n"


def test_without_a_date_it_is_the_last_day_that_is_over(bench: Bench) -> None:
    done = run()
    ((day, now),) = bench.asked
    assert now.tzinfo == timezone.utc
    assert day == now.date() - timedelta(days=1)
    assert "is not over" not in done.output


def test_a_day_that_is_not_over_is_to_be_reported_again(bench: Bench) -> None:
    done = run("--date", "9999-12-30")
    assert done.exit_code == 0
    assert done.stderr.endswith("9999-12-30 is not over (UTC): report it again tomorrow\n")


def test_a_day_that_has_not_begun_is_a_wrong_argument(bench: Bench) -> None:
    bench.make_failure = DayToCome()
    done = run("--date", "9999-12-30")
    assert done.exit_code == 2
    assert "--date 9999-12-30 is in the future (it is " in " ".join(done.output.split())
    assert bench.published == []


def test_a_database_that_is_down_is_reported_with_its_exit_code(bench: Bench) -> None:
    bench.make_failure = SinkUnavailable("postgres: down")
    done = run("--date", str(DAY))
    assert (done.exit_code, done.stdout, bench.published) == (3, "", [])
    assert "FRAUD_POSTGRES_URL. Nothing was reported; run it again then." in done.stderr


def test_an_archive_that_is_down_is_reported_with_its_exit_code(bench: Bench) -> None:
    bench.publish_failure = SinkUnavailable("archive: down")
    done = run("--date", str(DAY))
    assert (done.exit_code, done.stdout) == (4, "")
    assert "FRAUD_ARCHIVE_URL. The report is in table daily_reports already" in done.stderr


@pytest.mark.parametrize("arguments", [("--date", "yesterday"), ("--format", "pdf")])
def test_an_argument_that_is_wrong_is_refused_with_nothing_done(
    bench: Bench, arguments: tuple[str, str]
) -> None:
    assert run(*arguments).exit_code == 2
    assert bench.asked == []
