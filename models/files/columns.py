"""The columns of a CSV file: checks the header once, then reads the cells of each row."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from models.files.cells import (
    SEPARATORS,
    UNSEPARATED,
    RefusedRow,
    cells,
    is_ended,
    miscounted,
    separated,
)
from models.files.fields import FileFields
from models.files.lines import Line, UnreadableFile, shown
from models.parsing import UNREADABLE
from models.records import FieldError


class Columns:
    """The header of a CSV file, and the reader of its rows."""

    def __init__(
        self, path: Path, header: Line, required: Collection[str], fields: FileFields
    ) -> None:
        """Raises `UnreadableFile` if a column is missing, misnamed or there twice."""
        self._fields = fields
        try:
            self._separator, found = separated(header.text, self._fit)
        except RefusedRow as exc:
            raise UnreadableFile(f"{shown(path)}: {exc}") from exc
        self._names = [fields.field(cell) for cell in found]
        self._optional = frozenset(fields.names) - frozenset(required)
        if wrong := _wrong(self._names, required, header.text, fields):
            by = f"the header is read as separated by {SEPARATORS[self._separator]}"
            how = by if len(self._names) > 1 else UNSEPARATED
            raise UnreadableFile(f"{shown(path)}: {wrong}; {how}")
        self._read = [
            (place, name, fields.read[name])
            for place, name in enumerate(self._names)
            if name in fields.read
        ]

    def read(self, line: Line) -> dict[str, Any]:
        """Read the fields of a row; raises `RefusedRow`."""
        found = cells(line.text, self._separator)
        if len(found) != len(self._names):
            raise miscounted(line.text, len(found), len(self._names))
        fields: dict[str, Any] = {}
        errors: list[FieldError] = []
        for place, name, read in self._read:
            text = found[place]
            if not text and name in self._optional:
                continue
            try:
                fields[name] = read(text)
            except UNREADABLE:
                errors.append(FieldError(name, _unreadable(text, name in self._fields.enumerated)))
        if not is_ended(line.text) and (cut := self._cut(line.text, found[-1])):
            errors.append(cut)
        if errors:
            raise RefusedRow(*errors)
        return fields

    def _fit(self, header: Sequence[str]) -> tuple[int, int]:
        """Return how well a header fits: how many columns are fields, and how many there are."""
        return len({*map(self._fields.field, header)} & {*self._fields.names}), len(header)

    def _cut(self, line: str, last: str) -> FieldError | None:
        name = self._names[-1]
        enumerated = last and name in self._fields.enumerated
        if name not in self._fields.read or line.endswith('"') or enumerated:
            return None
        return FieldError(
            name, f"{last!r:.64} may be cut off: end the line, the last one, if it is whole"
        )


def problem(names: Sequence[str], required: Collection[str], fields: FileFields) -> str | None:
    """Return what is wrong with the columns of a file, by the fields that they are; or None."""
    wrong = [problem for name in names if (problem := fields.misnamed(name, names))]
    if missing := [name for name in required if name not in names]:
        return "; ".join([lacking(missing, required), *wrong])
    if twice := [name for name in fields.names if names.count(name) > 1]:
        return f"column {', '.join(twice)} is there twice"
    return "; ".join(wrong) or None


def lacking(missing: Collection[str], required: Collection[str]) -> str:
    """Return that columns are missing, and which are needed."""
    return f"column {', '.join(missing)} is missing; needed are {', '.join(required)}"


def _wrong(
    names: Sequence[str], required: Collection[str], line: str, fields: FileFields
) -> str | None:
    if "\0" in line:
        return "it holds NUL bytes: save the file as UTF-8"
    return problem(names, required, fields)


def _unreadable(text: str, is_flag: bool) -> str:
    if not text:
        return "is empty"
    if is_flag:
        return f"{text[:64]!r} is not a flag: write 1 or 0"
    comma = ": write a decimal point" if "," in text and "." not in text else ""
    return f"{text[:64]!r} is not a number{comma}"
