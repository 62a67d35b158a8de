"""`purge`: deletes the decisions of past days from the sinks."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timezone
from typing import Final

import click

from fraudapp.cli.exit_codes import SinkFailed
from fraudapp.settings import Settings, load
from fraudapp.sinks.all import Sinks
from fraudapp.sinks.base import SinkUnavailable
from fraudapp.sinks.purge import CannotMark, delete, mark

UNITS: Final = {"redis": "decisions", "postgres": "decisions and labels", "archive": "files"}
"""The sinks, with the word for what a purge counts in each."""
NOT_PURGED: Final = (
    "Not purged: the topic {decisions} (one decision for each id, for ever) and the "
    "copies of it in the workers' data folders, since without them an id would be decided again; "
    "the topics {labels} and {labelled} and their copies there, since what is known of accounts "
    "follows from them; and the inputs, which stay in {transactions} and {dead_letters} as long as "
    "their retention.ms says. Daily reports stay; they name no one."
)
"""Printed at the end: the data that a purge leaves, and why."""


@click.command("purge")
@click.option(
    "--before",
    "day",
    type=click.DateTime(["%Y-%m-%d"]),
    required=True,
    help="The first UTC day that is kept, YYYY-MM-DD; today at the latest.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, and delete nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option(
    "--take-back",
    is_flag=True,
    help="Delete nothing: let purged decisions of this day and later ones be saved again.",
)
def command(day: datetime, dry_run: bool, yes: bool, take_back: bool) -> None:
    """Delete decisions of earlier days, and labels on them, from Redis, Postgres and the archive.

    Workers do not save them again from then on, also where a sink is filled anew from the log.

    Ends with 0 if all is done, 1 if you say no or the broker cannot be reached, 2 for a wrong date,
    3, 4 or 5 if Postgres, the archive or Redis cannot be reached; the others are purged all the
    same.
    """
    if take_back and dry_run:
        raise click.UsageError("--take-back deletes nothing: leave out --dry-run")
    before, settings = day.date(), load()
    _check_not_in_future(settings, before)
    if take_back:
        if not yes:
            click.confirm(f"Let decisions made since {before} be saved again?", abort=True)
        _mark(settings, before, take_back=True)
        click.echo(f"decisions made since {before} (UTC) are saved where sinks are filled anew")
        return
    if not (dry_run or yes):
        failed = _purge(settings, before, dry_run=True)
        if len(failed) == len(UNITS):
            _raise_failures(failed, "Nothing was deleted.")
        for sink, exc in failed.items():
            SinkFailed(sink, exc, "It cannot be purged now.").show()
        click.confirm("Delete them for good?", abort=True)
    if not dry_run:
        _mark(settings, before)
    failed = _purge(settings, before, dry_run=dry_run)
    if dry_run:
        _raise_failures(failed, "Nothing was deleted.")
    done = ", ".join(name for name in UNITS if name not in failed) or "nothing"
    _raise_failures(failed, f"Purge again then; purged: {done}.")
    click.echo(
        NOT_PURGED.format(
            decisions=settings.decisions_topic,
            labels=settings.labels_topic,
            labelled=settings.labelled_topic,
            transactions=settings.transactions_topic,
            dead_letters=settings.dead_letters_topic,
        )
    )


def _check_not_in_future(settings: Settings, before: date) -> None:
    today = datetime.now(timezone.utc).date()
    if before > today:
        raise click.UsageError(
            f"--before {before} is in the future, it is {today} (UTC): today's decisions are kept"
        )
    day = asyncio.run(_day_of_database(settings))
    if day and before > day:
        raise click.UsageError(
            f"--before {before} is in the future by the clock of the database, by which it is "
            f"{day} (UTC); by that of this machine it is {today}: set the one that is wrong"
        )


async def _day_of_database(settings: Settings) -> date | None:
    """Return the UTC day by the clock of Postgres; None if it is down, and so is not purged."""
    sink = Sinks(settings).postgres
    try:
        return (await sink.clock()).astimezone(timezone.utc).date()
    except SinkUnavailable:
        return None
    finally:
        await sink.close()


def _mark(settings: Settings, before: date, *, take_back: bool = False) -> None:
    try:
        asyncio.run(mark(settings, UNITS, before, take_back=take_back))
    except CannotMark as exc:
        raise click.ClickException(f"{exc}. Nothing was changed.") from exc


def _purge(settings: Settings, before: date, *, dry_run: bool) -> dict[str, SinkUnavailable]:
    """Print how much each sink deletes; return the failures of the others by sink."""
    done = "would be deleted" if dry_run else "deleted"
    counted = asyncio.run(_purge_each(settings, before, dry_run))
    failed: dict[str, SinkUnavailable] = {}
    for sink, count in counted.items():
        if isinstance(count, SinkUnavailable):
            failed[sink] = count
        else:
            click.echo(f"{sink}: {count:,} {UNITS[sink]} from before {before} (UTC) {done}")
    return failed


def _raise_failures(failed: dict[str, SinkUnavailable], advice: str) -> None:
    """Raise `SinkFailed` for the first failure after printing the others; return without any."""
    failures = [SinkFailed(sink, exc, advice) for sink, exc in failed.items()]
    for failure in failures[1:]:
        failure.show()
    if failures:
        raise failures[0]


async def _purge_each(
    settings: Settings, before: date, dry_run: bool
) -> dict[str, int | SinkUnavailable]:
    """Return what each sink counts, or why it failed; one that fails does not stop the others."""
    counted: dict[str, int | SinkUnavailable] = {}
    for sink in Sinks(settings).each:
        try:
            await sink.ping()
            if dry_run:
                counted[sink.name] = await sink.purge(before, dry_run=True)
            else:
                counted[sink.name] = await delete(sink, before)
        except SinkUnavailable as exc:
            counted[sink.name] = exc
        finally:
            await sink.close()
    return counted
