"""The columns of a CSV file: checks the header once, then reads the cells of each row."""

from __future__ import annotations

import csv
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, Final

from models.errors import Rejected
from models.files.fields import FileFields
from models.files.lines import Line, UnreadableFile, shown
from models.parsing import UNREADABLE
from models.records import FieldError

_SEPARATORS: Final = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars"}


class RefusedRow(Rejected, ValueError):
    """A row cannot be read as a transaction; `errors` has one entry for each error."""

    def __init__(self, *errors: FieldError) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(map(str, errors)))


class Columns:
    """The header of a CSV file, and the reader of its rows."""

    def __init__(
        self, path: Path, header: Line, required: Collection[str], fields: FileFields
    ) -> None:
        """Raises `UnreadableFile` if a column is missing, misnamed or there twice."""
        self._fields = fields
        headers = self._headers(path, header, required)
        self._separator = max(headers, key=lambda each: _fit(headers[each], required))
        self._names = headers[self._separator]
        self._optional = frozenset(fields.names) - frozenset(required)
        problem = _problem(self._names, required, header.text, fields)
        if problem and len(self._names) > 1:
            problem += f"; the header is read as separated by {_SEPARATORS[self._separator]}"
        if problem:
            raise UnreadableFile(f"{shown(path)}: {problem}")
        self._read = [
            (place, name, fields.read[name])
            for place, name in enumerate(self._names)
            if name in fields.read
        ]

    def _headers(self, path: Path, header: Line, required: Collection[str]) -> dict[str, list[str]]:
        """Return the header as each separator makes it, for those by which it can be read."""
        found, refused = {}, None
        for each in _SEPARATORS:
            try:
                found[each] = [self._fields.field(cell) for cell in _cells(header.text, each)]
            except RefusedRow as exc:
                refused = refused or exc  # of commas
        if refused and not any({*names} & {*required} for names in found.values()):
            raise UnreadableFile(f"{shown(path)}: {refused}") from refused
        return found

    def read(self, line: Line) -> dict[str, Any]:
        """Read the fields of a row; raises `RefusedRow`."""
        cells = _cells(line.text, self._separator)
        if len(cells) != len(self._names):
            raise RefusedRow(FieldError("", self._miscounted(len(cells), line)))
        fields: dict[str, Any] = {}
        errors: list[FieldError] = []
        for place, name, read in self._read:
            text = cells[place]
            if not text and name in self._optional:
                continue
            try:
                fields[name] = read(text)
            except UNREADABLE:
                errors.append(FieldError(name, _unreadable(text)))
        if not line.text.endswith(("\n", "\r")) and (cut := self._cut(line.text, cells[-1])):
            errors.append(cut)
        if errors:
            raise RefusedRow(*errors)
        return fields

    def _miscounted(self, count: int, line: Line) -> str:
        cut = " (the last line, cut off?)" if not line.text.endswith(("\n", "\r")) else ""
        return f"has {count} cells where the header has {len(self._names)}{cut}"

    def _cut(self, line: str, last: str) -> FieldError | None:
        name = self._names[-1]
        enumerated = last and name in self._fields.enumerated
        if name not in self._fields.read or line.endswith('"') or enumerated:
            return None
        return FieldError(
            name, f"{last!r:.64} may be cut off: end the line, the last one, if it is whole"
        )


def _cells(line: str, separator: str) -> list[str]:
    if not line.isascii():
        try:
            line.encode()
        except UnicodeEncodeError as exc:
            raise RefusedRow(FieldError("", "is not UTF-8: save the file as UTF-8")) from exc
    if '"' not in line:
        return line.rstrip("\r\n").split(separator)
    try:
        return next(csv.reader([line], strict=True, delimiter=separator))
    except csv.Error as exc:
        unclosed = str(exc) == "unexpected end of data"
        why = "a quote does not end on its line" if unclosed else str(exc)
        raise RefusedRow(FieldError("", f"not valid CSV: {why}")) from exc


def _fit(names: Sequence[str], required: Collection[str]) -> tuple[int, int]:
    """Return how well a header fits: how many columns that are needed, and how many in all."""
    return len({*names} & {*required}), len(names)


def _problem(
    names: Sequence[str], required: Collection[str], line: str, fields: FileFields
) -> str | None:
    if "\0" in line:
        return "it holds NUL bytes: save the file as UTF-8"
    wrong = [problem for name in names if (problem := fields.misnamed(name, names))]
    if missing := [name for name in required if name not in names]:
        problem = f"column {', '.join(missing)} is missing; needed are {', '.join(required)}"
        return "; ".join([problem, *wrong])
    if twice := [name for name in fields.names if names.count(name) > 1]:
        return f"column {', '.join(twice)} is there twice"
    return "; ".join(wrong) or None


def _unreadable(text: str) -> str:
    if not text:
        return "is empty"
    comma = ": write a decimal point" if "," in text and "." not in text else ""
    return f"{text[:64]!r} is not a number{comma}"
