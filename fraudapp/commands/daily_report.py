"""`daily-report`: reports the decisions of one day."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timedelta, timezone

import click
from msgspec import json

from fraudapp.cli.exit_codes import SinkFailed
from fraudapp.reports.daily import DailyReport, as_text
from fraudapp.reports.make import DayToCome, make, publish
from fraudapp.reports.render import as_csv, as_html
from fraudapp.settings import Settings, load
from fraudapp.sinks.base import SinkUnavailable


def _as_json(report: DailyReport) -> str:
    return json.format(json.encode(report)).decode()


FORMATS = {"text": as_text, "json": _as_json, "csv": as_csv, "html": as_html}
"""Renderers of a report, by the name of the format."""


@click.command("daily-report")
@click.option(
    "--date",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    help="UTC day, YYYY-MM-DD; default: yesterday, the last that is over.",
)
@click.option("--format", "style", type=click.Choice(list(FORMATS)), default="text")
def command(day: datetime | None, style: str) -> None:
    """Report the decisions of one UTC day, on the terminal, in Postgres and in the archive.

    Running it again for a day replaces that day's report; nothing else changes.

    Ends with 0 if it is written, 2 for a wrong date, 3 if Postgres and 4 if the archive cannot be
    reached.
    """
    now = datetime.now(timezone.utc)
    chosen = day.date() if day else now.date() - timedelta(days=1)
    settings = load()
    try:
        report, key = asyncio.run(_written(settings, chosen, now))
    except DayToCome as exc:
        raise click.UsageError(
            f"--date {chosen} is in the future (it is {now:%Y-%m-%d} UTC)"
        ) from exc
    click.echo(FORMATS[style](report), nl=style != "csv")
    click.echo(f"written to table daily_reports, and to {settings.archive}/{key}", err=True)
    if chosen >= now.date():
        click.echo(f"{chosen} is not over (UTC): report it again tomorrow", err=True)


async def _written(settings: Settings, day: date, now: datetime) -> tuple[DailyReport, str]:
    try:
        report = await make(settings, day, now)
    except SinkUnavailable as exc:
        raise SinkFailed("postgres", exc, "Nothing was reported; run it again then.") from exc
    try:
        return report, await publish(settings, report)
    except SinkUnavailable as exc:
        advice = "The report is in table daily_reports already; run it again then."
        raise SinkFailed("archive", exc, advice) from exc
