"""Files of list entries, read whole and checked before anything is done with them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Final

import click

from fraudapp.cli.control_options import MAX_NOTE_CHARACTERS, iso
from models.characters import legible, problem
from models.control.lists import MAX_ENTRIES
from models.control.records import InvalidRecord, Listed, check_entry
from models.errors import Rejected
from models.files.cells import RefusedRow, cells
from models.files.lines import Line, UnreadableFile, lines, shown

INVALID: Final = 2
"""Exit code of a file that cannot be used."""
_TOLD: Final = 50
_COLUMNS: Final = ("note", "expires_at")
_WHOLE: Final = ["value"]
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z_ ]*")


class InvalidFile(click.ClickException):
    """A file of entries cannot be used; the message has a line for each thing that is wrong."""

    exit_code = INVALID


class _Wrong(Rejected, ValueError):
    """A row cannot be an entry."""


def read_entries(file: Path, name: str, default: Listed) -> dict[str, Listed]:
    """Return the entries of a file by value; of several with one value, the last.

    It has an entry on each line, or is CSV with the header `value`, and `note` and `expires_at`
    after it if need be. What a row does not say is taken from `default`. Raises `InvalidFile`.
    """
    found: dict[str, Listed] = {}
    wrong: list[str] = []
    count = 0
    try:
        for line, row in _rows(file):
            try:
                value, listed = _entry(row(line), name, default)
                found[value] = listed
            except (_Wrong, RefusedRow, InvalidRecord) as exc:
                count += 1
                if count <= _TOLD:
                    wrong.append(legible(f"{shown(file)}, line {line.number}: {exc}"))
            if len(found) > MAX_ENTRIES:
                raise InvalidFile(f"{shown(file)} has more than {MAX_ENTRIES:,} entries")
    except UnreadableFile as exc:
        raise InvalidFile(str(exc)) from exc
    if count:
        more = [f"and {count - _TOLD:,} more"] if count > _TOLD else []
        raise InvalidFile("\n".join([*wrong, *more, "nothing was written"]))
    return found


def _rows(file: Path) -> Iterator[tuple[Line, Callable[[Line], Sequence[str]]]]:
    """Yield the lines that are not blank, each with what divides it: value, note and expiry."""
    divide: Callable[[Line], Sequence[str]] | None = None
    for line in lines(file):
        text = line.text.strip()
        if divide is None and text:
            header = [cell.strip() for cell in text.split(",")]
            if _is_header(header):
                divide = _of_columns(header)
                continue
            if len(header) > 1 and all(map(_NAME.fullmatch, header)):
                raise InvalidFile(
                    f"{shown(file)}, line {line.number}: {legible(text)!r:.80} looks like the "
                    "header of a file of columns: it has to be value,note,expires_at, of which "
                    "the last two may be absent. Nothing was written"
                )
            divide = _whole
        if text and divide:
            yield line, divide


def _is_header(names: Sequence[str]) -> bool:
    return names[:1] == _WHOLE and len({*names}) == len(names) and {*names[1:]} <= {*_COLUMNS}


def _whole(line: Line) -> Sequence[str]:
    return line.text.strip(), "", ""


def _of_columns(header: Sequence[str]) -> Callable[[Line], Sequence[str]]:
    places = [header.index(each) if each in header else None for each in _COLUMNS]

    def divided(line: Line) -> Sequence[str]:
        found = cells(line.text, ",")
        if len(found) != len(header):
            raise _Wrong(f"it has {len(found)} cells where the header has {len(header)}")
        rest = ("" if at is None else found[at].strip() for at in places)
        return found[0].strip(), *rest

    return divided


def _entry(row: Sequence[str], name: str, default: Listed) -> tuple[str, Listed]:
    value, note, expires_at = row
    if value.startswith("#"):
        raise _Wrong("it begins with #, and comments are not read: remove it")
    check_entry(name, value)
    if not note and not expires_at:
        return value, default
    if len(note) > MAX_NOTE_CHARACTERS:
        raise _Wrong(f"its note has {len(note):,} characters; at most {MAX_NOTE_CHARACTERS:,} fit")
    if wrong := problem(note):
        raise _Wrong(f"its note {wrong}")
    expires = _moment(expires_at) if expires_at else default.expires_at
    return value, Listed(author=default.author, note=note or default.note, expires_at=expires)


@lru_cache  # many entries end together
def _moment(text: str) -> datetime:
    try:
        return iso(text)
    except ValueError as exc:
        raise _Wrong(
            f"expires_at {text!r:.80} is no time with an offset, such as 2027-01-31T00:00:00Z"
        ) from exc
