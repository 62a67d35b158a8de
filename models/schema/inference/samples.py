"""Files with messages to try a schema on, or to make one of: JSON lines, or CSV with a header."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from models.errors import Rejected
from models.files.lines import Line, UnreadableFile, lines, shown
from models.files.rows import is_json
from models.parsing import UNREADABLE
from models.schema.definition import ID

_number: Final = msgspec.json.Decoder(int | float).decode


class SampleError(Rejected, ValueError):
    """A sample of which no schema can be made; the message says which, where and why."""


class Entry(NamedTuple):
    """One message of a sample, or why the line holds none."""

    line: int
    """From 1; blank lines are counted, and hold no message."""
    raw: bytes = b""
    """Of JSON lines: the message."""
    cells: dict[str, str] | None = None
    """Of CSV: the cells that are not empty, by column."""
    problem: str | None = None


class Sample(NamedTuple):
    """The messages of a file; `columns` is the header of a CSV file, None of JSON lines."""

    columns: Sequence[str] | None
    entries: Iterator[Entry]


def read_sample(path: Path) -> Sample:
    """Return the messages of a file, which are read as they are asked for.

    Its name tells whether it is CSV or JSON lines, or else its first line does. Encodings and
    compression are those of `models.files.lines`. Raises `UnreadableFile`, also later.
    """
    given = (line for line in lines(path) if not line.text.isspace())
    first = next(given, None)
    if first is None:
        raise UnreadableFile(f"{shown(path)} is empty: a sample has a message on each line")
    if is_json(path, first):
        return Sample(None, map(_of_json, chain([first], given)))
    columns = _columns(path, first)
    return Sample(columns, (_of_row(columns, line, row) for row, line in enumerate(given, 1)))


def number(cell: str) -> int | float | None:
    """Return the number that a cell holds; None if it holds none."""
    try:
        return _number(cell)
    except UNREADABLE:
        return None


def _of_json(line: Line) -> Entry:
    if line.cut:
        return Entry(line.number, problem="the line is too long for a message")
    return Entry(line.number, line.text.encode(errors="surrogateescape"))


def _columns(path: Path, header: Line) -> list[str]:
    try:
        columns = _cells(header)
    except ValueError as exc:
        raise UnreadableFile(f"{shown(path)}, line {header.number}: {exc}") from exc
    if twice := sorted({each for each in columns if columns.count(each) > 1}):
        raise UnreadableFile(f"{shown(path)}: column {', '.join(twice)!r:.200} is there twice")
    return columns


def _of_row(columns: Sequence[str], line: Line, row: int) -> Entry:
    """A row without an id has one made of its number, as where files are published."""
    try:
        cells = _cells(line)
    except ValueError as exc:
        return Entry(line.number, problem=str(exc))
    if len(cells) != len(columns):
        wrong = f"has {len(cells)} cells where the header has {len(columns)}"
        return Entry(line.number, problem=wrong)
    found = {column: cell for column, cell in zip(columns, cells, strict=True) if cell}
    return Entry(line.number, cells={ID: f"row-{row}"} | found)


def _cells(line: Line) -> list[str]:
    """Return the cells of a line; raises `ValueError`."""
    if line.cut:
        raise ValueError("the line is too long for a message")
    try:
        line.text.encode()
        return next(csv.reader([line.text], strict=True))
    except UnicodeEncodeError as exc:
        raise ValueError("is not UTF-8: save the file as UTF-8") from exc
    except csv.Error as exc:
        raise ValueError(f"not valid CSV: {exc}") from exc
