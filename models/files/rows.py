"""Rows of a CSV or JSON lines file. All commands read files with this strict reader."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from models.files.columns import NAMES, NUMBERS, Columns, RefusedRow, misnamed
from models.files.lines import Line, UnreadableFile, lines, shown
from models.parsing import UNREADABLE
from models.records import FieldError

__all__ = ["BadRow", "Row", "UnreadableFile", "rows", "stem"]

_JSON: Final = (".json", ".jsonl", ".ndjson")
_PACKED: Final = (".gz", ".bz2", ".xz", ".zst")
_QUOTED: Final = [f'"{name}"' for name in NAMES]
_decode: Final = msgspec.json.Decoder().decode


class Row(NamedTuple):
    """The fields of a row: numbers and texts. Empty optional fields are absent."""

    number: int
    """From 1; blank lines are not counted."""
    line: int
    fields: dict[str, Any]


class BadRow(NamedTuple):
    """A row that cannot be read, and its errors."""

    number: int
    line: int
    errors: list[FieldError]

    def sentence(self, path: Path) -> str:
        """Return the errors as a sentence; it quotes the file, so it may hold any characters."""
        problems = "; ".join(map(str, self.errors))
        return f"{shown(path)}, line {self.line}, row {self.number}: {problems}"


def rows(path: Path, required: Collection[str]) -> Iterator[Row | BadRow]:
    """Yield the rows of a file with fields of transactions; `required` are the required fields.

    The file's name tells whether it is CSV or JSON lines (`.csv`, `.jsonl`), or else its first line
    does. A row is bad if its number of cells is not that of the header, if a quote does not end on
    its line, or if it may have been cut off; the rows after it are read. The caller checks whether
    values are allowed. Raises `UnreadableFile`, also if the name of a column is nearly right.
    """
    given: Iterator[Line] = (line for line in lines(path) if not line.text.isspace())
    first = next(given, None)
    if first is None:
        return
    read: Callable[[Line], dict[str, Any]]
    if _is_json(path, first):
        given, read = chain([first], given), _JsonLines(required).read
    else:
        read = Columns(path, first, required).read
    for number, line in enumerate(given, start=1):
        try:
            if line.cut:
                raise RefusedRow(FieldError("", "the line is too long for a transaction"))
            yield Row(number, line.number, read(line))
        except RefusedRow as exc:
            yield BadRow(number, line.number, exc.errors)


def stem(path: Path) -> str:
    """Return a file's name without its suffixes, including that of a compressed file."""
    return Path(path.stem).stem if path.suffix.lower() in _PACKED else path.stem


def _is_json(path: Path, first: Line) -> bool:
    begins = first.text.lstrip()[:1]
    name = Path(path.stem) if path.suffix.lower() in _PACKED else path
    found = name.suffix.lower() in _JSON or (name.suffix.lower() != ".csv" and begins in "{[")
    if found and begins == "[":
        raise UnreadableFile(
            f"{shown(path)} is one JSON array; write an object on each line: jq -c '.[]' FILE"
        )
    return found


class _JsonLines:
    def __init__(self, required: Collection[str]) -> None:
        self._optional = frozenset(NAMES) - frozenset(required)

    def read(self, line: Line) -> dict[str, Any]:
        """Read the fields of a line; raises `RefusedRow`."""
        try:
            fields = _decode(line.text)
        except UnicodeEncodeError as exc:
            raise RefusedRow(FieldError("", "is not UTF-8")) from exc
        except UNREADABLE as exc:
            raise RefusedRow(FieldError("", f"not valid JSON: {exc}")) from exc
        if not isinstance(fields, dict):
            raise RefusedRow(FieldError("", "must be a JSON object"))
        if "\\" in line.text or any(line.text.count(name) > 1 for name in _QUOTED):
            json.loads(line.text, object_pairs_hook=_once)  # msgspec silently takes the last one
        errors = [FieldError("", wrong) for name in fields if (wrong := misnamed(name, fields))]
        for name in NAMES:
            value = fields.get(name, "")
            if value is None and name in self._optional:
                del fields[name]
            elif name in NUMBERS and name in fields and type(value) not in (int, float):
                errors.append(FieldError(name, f"must be a number, got {value!r:.64}"))
        if errors:
            raise RefusedRow(*errors)
        return fields


def _once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1} & {*NAMES}):
        raise RefusedRow(*(FieldError(name, "is given twice") for name in twice))
