"""`lists`: entries of the lists that policies look into."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, timezone
from pathlib import Path

import click

from fraudapp.cli.control import opened, run
from fraudapp.cli.control_options import When, signed
from fraudapp.cli.control_options import waiting as with_wait
from fraudapp.cli.list_changes import UNSURE, change, differences
from fraudapp.cli.list_entries import Entries, Entry
from fraudapp.cli.list_files import read_entries
from fraudapp.cli.list_views import show
from fraudapp.cli.waiting import waiting
from fraudapp.settings import load
from models.control.records import InvalidRecord, Listed, Removed, check_entry

_Changes = Callable[[Mapping[str, Entry]], Mapping[str, "Listed | Removed"]]


@click.group("lists")
def command() -> None:
    """Change and show the lists that policies look into.

    What is changed is written to the control topic, which all workers follow; no worker has to run.
    """


@command.command("add")
@click.argument("name")
@click.argument("values", nargs=-1, required=True)
@click.option("--expires", type=When(), help="When they end: 2027-01-31T00:00:00Z, 30d, 12h, 15m.")
@signed
@with_wait
def add(
    name: str,
    values: tuple[str, ...],
    expires: datetime | None,
    author: str,
    note: str,
    wait: float | None,
) -> None:
    """Add VALUES to list NAME; one that is there gets this note and expiry.

    Exit codes: 2 if one is none, and nothing was written. 4 if the owner of some partition does not
    decide by it after --wait seconds.
    """
    listed = Listed(author=author, note=note, expires_at=expires)
    _change(name, lambda there: dict.fromkeys(_checked(name, values), listed), wait)


@command.command("remove")
@click.argument("name")
@click.argument("values", nargs=-1, required=True)
@signed
@with_wait
def remove(name: str, values: tuple[str, ...], author: str, note: str, wait: float | None) -> None:
    """Remove VALUES from list NAME. Exit codes as of `lists add`."""
    removed = Removed(author=author, note=note)

    def changes(there: Mapping[str, Entry]) -> Mapping[str, Removed]:
        named = dict.fromkeys(_checked(name, values), removed)
        for absent in [each for each in named if each not in there]:
            click.echo(f"{absent} is not in list {name}", err=True)
            del named[absent]
        return named

    _change(name, changes, wait)


@command.command("import")
@click.argument("name")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Remove the entries that are not in FILE.")
@click.option("--expires", type=When(), help="When those end that do not say when themselves.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
@signed
@with_wait
def import_(
    name: str,
    file: Path,
    replace: bool,
    expires: datetime | None,
    quiet: bool,
    author: str,
    note: str,
    wait: float | None,
) -> None:
    """Add the entries of FILE to list NAME.

    FILE has an entry on each line, or is CSV with the header value,note,expires_at, of which the
    last two may be absent; it may be packed, and - is the standard input. What is wrong is told
    with its line, exit code 2, and nothing is written then. Entries that are there as FILE says
    are not written again. 4 is the exit code as of `lists add`.
    """
    wanted = read_entries(file, name, Listed(author=author, note=note, expires_at=expires))
    gone = Removed(author=author, note=note or "not in the file") if replace else None
    if replace and not wanted:
        raise click.UsageError(f"{file} has no entries: --replace would empty list {name}")
    now = datetime.now(timezone.utc)
    _change(name, lambda there: differences(there, wanted, now, gone), wait, quiet=quiet)


@command.command("prune")
@click.argument("name")
@signed
def prune(name: str, author: str, note: str) -> None:
    """Remove the entries of list NAME that expired more than a day ago.

    They decide nothing any more, but count among the entries that all lists together may have.
    """
    before = datetime.now(timezone.utc) - timedelta(days=1)
    removed = Removed(author=author, note=note or "expired")
    _change(
        name,
        lambda there: {each: removed for each in there if not there[each].is_there(before)},
        None,
    )


def _change(name: str, changes: _Changes, wait: float | None, *, quiet: bool = True) -> None:
    settings = load()
    _checked(name, ["any"])
    entries = Entries(name)

    async def made() -> None:
        async with (
            opened(settings, entries.take, for_writing=True) as control,
            waiting(settings, wait) as told,
        ):
            there = entries.lists[name]
            await change(control, told, name, changes(there), there, quiet=quiet)

    run(settings, made(), unsure=UNSURE)


def _checked(name: str, values: tuple[str, ...] | list[str]) -> tuple[str, ...]:
    try:
        for each in values:
            check_entry(name, each)
    except InvalidRecord as exc:
        raise click.UsageError(str(exc)) from exc
    return tuple(values)


command.add_command(show)
