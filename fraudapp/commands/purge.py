"""`purge`: decisions of long ago are deleted."""

from __future__ import annotations

import asyncio
from datetime import date, datetime, timezone
from typing import Final

import click

from fraudapp.failures import StoreFailed
from fraudapp.settings import Settings, load
from fraudapp.stores.base import StoreUnavailable
from fraudapp.stores.stores import Stores

UNITS: Final = {"redis": "decisions", "postgres": "decisions", "archive": "files"}
STAYS: Final = (
    "Not purged: the topic {decisions} (one decision for each id, for ever) and the "
    "copies of it in the workers' data folders, since without them an id would be decided again; "
    "and what was sent, which stays in {transactions} and {dead_letters} as long as their "
    "retention.ms says. Daily reports stay; they name no one."
)


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
def command(day: datetime, dry_run: bool, yes: bool) -> None:
    """Delete from Redis, Postgres and the archive what was decided on the days before.

    Ends with 0 if all is done, 1 if you say no, 2 for a wrong date, 3, 4 or 5 if Postgres, the
    archive or Redis cannot be reached; the others are purged all the same.
    """
    before = day.date()
    if before > datetime.now(timezone.utc).date():
        raise click.UsageError(f"--before {before} is in the future: today's decisions are kept")
    settings = load()
    if not (dry_run or yes):
        _purge(settings, before, dry_run=True)
        click.confirm("Delete them for good?", abort=True)
    _purge(settings, before, dry_run=dry_run)
    click.echo(
        STAYS.format(
            decisions=settings.decisions_topic,
            transactions=settings.transactions_topic,
            dead_letters=settings.dead_letters_topic,
        )
    )


def _purge(settings: Settings, before: date, *, dry_run: bool) -> None:
    done = "would be deleted" if dry_run else "deleted"
    failed: list[StoreFailed] = []
    counted = asyncio.run(_each(settings, before, dry_run))
    for store, count in counted.items():
        if isinstance(count, StoreUnavailable):
            failed.append(StoreFailed(store, count, "Purge again then; the others were purged."))
        else:
            click.echo(f"{store}: {count:,} {UNITS[store]} from before {before} (UTC) {done}")
    for failure in failed[1:]:
        failure.show()
    if failed:
        raise failed[0]


async def _each(
    settings: Settings, before: date, dry_run: bool
) -> dict[str, int | StoreUnavailable]:
    counted: dict[str, int | StoreUnavailable] = {}
    for store in Stores(settings).each:
        try:
            await store.ping()
            counted[store.name] = await store.purge(before, dry_run=dry_run)
        except StoreUnavailable as exc:
            counted[store.name] = exc
        finally:
            await store.close()
    return counted
