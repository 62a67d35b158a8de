"""`lists show`."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from itertools import islice
from typing import Any, Final

import click

from fraudapp.cli.candidates import moment
from fraudapp.cli.control import Control, opened, run
from fraudapp.cli.list_changes import looking_into
from fraudapp.cli.list_entries import Entries, Entry
from fraudapp.cli.policy_shown import last_readable, table
from fraudapp.settings import load
from models.characters import legible

SHOWN: Final = 1_000
"""Entries that are shown, by default."""


@click.command("show")
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(min=1), default=SHOWN, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(name: str | None, limit: int, as_json: bool) -> None:
    """Show the entries of list NAME, the newest first; without NAME, all lists and their sizes.

    Entries that have expired are left out.
    """
    settings = load()
    entries = Entries(name or "")

    async def read() -> list[str]:
        async with opened(settings, entries.take) as control:
            now = datetime.now(timezone.utc)
            if name is None:
                return _all(control, now, as_json)
            if name not in control.known.lists.sizes() and name not in _looked_into(control):
                raise click.ClickException(
                    f"there is no list {legible(name)}; `fraudapp lists show` names those there are"
                )
            there = [(v, each) for v, each in entries.lists[name].items() if each.is_there(now)]
            newest = [*islice(reversed(there), limit)]
            if as_json:
                return [json.dumps(each.fields(name, value)) for value, each in newest]
            return _one(control, name, newest, len(there))

    for line in run(settings, read()):
        click.echo(line)


def _looked_into(control: Control) -> tuple[str, ...]:
    deciding = last_readable(control)
    return deciding[1].lists if deciding else ()


def _all(control: Control, now: datetime, as_json: bool) -> list[str]:
    deciding = last_readable(control)
    looked_into = deciding[1].lists if deciding else ()
    sizes = {name: len(each) for name, each in control.known.lists.at(now).items()}
    number = deciding[0].number if deciding else None
    rows: list[dict[str, Any]] = [
        {
            "list": name,
            "entries": sizes.get(name, 0),
            "looked_into_by": number if name in looked_into else None,
        }
        for name in sorted({*sizes, *looked_into})
    ]
    if as_json:
        return [*map(json.dumps, rows)]
    if not rows:
        return ["there are no lists"]
    told = [
        (
            each["list"],
            f"{each['entries']:,}",
            f"version {each['looked_into_by']}" if each["looked_into_by"] else "-",
        )
        for each in rows
    ]
    return [*table([("list", "entries", "looked into by"), *told])]


def _one(control: Control, name: str, newest: list[tuple[str, Entry]], count: int) -> list[str]:
    rows = [("value", "expires", "added", "author", "note")]
    for value, each in newest:
        expires_at = each.listed.expires_at
        rows.append(
            (
                legible(value),
                expires_at.isoformat(timespec="seconds") if expires_at else "-",
                moment(each.written_at),
                legible(each.listed.author),
                legible(each.listed.note),
            )
        )
    shown = f", the newest {len(newest):,} of them" if len(newest) < count else ""
    summary = f"{count:,} entries{shown}; {looking_into(control, name)}"
    return [*table(rows), summary] if newest else [summary]
