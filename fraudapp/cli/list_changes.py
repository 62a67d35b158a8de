"""Changes of lists, and who has them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

import click
from tqdm import tqdm

from fraudapp.cli.control import Control
from fraudapp.cli.list_entries import Entry
from fraudapp.cli.list_files import INVALID
from fraudapp.cli.policy_shown import last_readable
from fraudapp.cli.waiting import Waiting, covers_offset
from models.control.lists import MAX_ENTRIES
from models.control.records import Listed, Removed

UNSURE: Final = "how much was written is not known: do it again, which is harmless"


class NoRoom(click.ClickException):
    """Lists hold as many entries as they can."""

    exit_code = INVALID


async def change(
    control: Control,
    waiting: Waiting,
    name: str,
    changes: Mapping[str, Listed | Removed],
    there: Collection[str],
    *,
    quiet: bool = True,
) -> None:
    """Add and remove entries, tell how many, and wait until all have them.

    `there` are the entries before it, expired ones too. Raises `NoRoom` before anything is written,
    or `Unacknowledged`.
    """
    added = sum(isinstance(each, Listed) for each in changes.values())
    removed = len(changes) - added
    grown = sum(value not in there for value in changes) - removed
    if len(control.known.lists) + grown > MAX_ENTRIES:
        raise NoRoom(
            f"all lists together hold {MAX_ENTRIES:,} entries at most, and have "
            f"{len(control.known.lists):,}: remove some first. Nothing was written"
        )
    async with control.writer() as writer:
        waiting.begin()
        with tqdm(unit=" entries", disable=quiet, total=len(changes)) as progress:
            await writer.change(name, changes, progress.update)
        said = [f"{added:,} entries added"] if added else []
        said += [f"{removed:,} entries removed"] if removed else []
        click.echo(f"list {name}: {', '.join(said) or 'nothing to change'}")
        await _settle(control, waiting, name)


def differences(
    there: Mapping[str, Entry],
    wanted: Mapping[str, Listed],
    now: datetime,
    gone: Removed | None,
) -> dict[str, Listed | Removed]:
    """Return what makes a list have the entries of a file: those removed come first.

    An entry that is there with the same note and expiry is left as it is. `gone` is what is said of
    entries that are not in the file; without it they stay.
    """
    found: dict[str, Listed | Removed] = {}
    if gone:
        found.update(dict.fromkeys((value for value in there if value not in wanted), gone))
    for value, listed in wanted.items():
        old = there.get(value)
        if old is None or not old.is_there(now) or _said(old.listed) != _said(listed):
            found[value] = listed
    return found


def looking_into(control: Control, name: str) -> str:
    """Return which policy looks into a list, in words.

    A policy that does not fit the schema of the settings is in force nowhere with that schema.
    """
    deciding = last_readable(control)
    if deciding is None or name not in deciding[1].lists:
        return "no policy in force looks into it"
    return f"version {deciding[0].number}, which is in force, looks into it"


async def _settle(control: Control, waiting: Waiting, name: str) -> None:
    click.echo(looking_into(control, name))
    deciding, head = last_readable(control), control.head
    if head and deciding and name in deciding[1].lists:
        next_offset = control.known.lists.next_offset([name])
        await waiting.until(f"list {name} is", covers_offset(head.number, next_offset))


def _said(listed: Listed) -> tuple[str, datetime | None]:
    return listed.note, listed.expires_at
