"""The columns of a CSV file: checks the header once, then reads the cells of each row."""

from __future__ import annotations

import csv
import difflib
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import msgspec

from models.errors import Rejected
from models.files.lines import Line, UnreadableFile, shown
from models.parsing import UNREADABLE
from models.records import FieldError
from models.schema.schema import PAYSIM

NAMES: Final = tuple(PAYSIM.definition.fields)
WHOLE: Final = ("step", "isFraud", "isFlaggedFraud")
NUMBERS: Final = (
    *WHOLE,
    "amount",
    "oldbalanceOrg",
    "newbalanceOrig",
    "oldbalanceDest",
    "newbalanceDest",
)
_ENUMERATED: Final = ("type", "isFraud", "isFlaggedFraud")
"""Columns with a fixed set of values: a cell that was cut off would not be one of them."""
_SEPARATORS: Final = {";": "semicolons", "\t": "tabs", "|": "bars"}
_decode_number: Final = msgspec.json.Decoder(float).decode


class RefusedRow(Rejected, ValueError):
    """A row cannot be read as a transaction; `errors` has one entry for each error."""

    def __init__(self, *errors: FieldError) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(map(str, errors)))


def misnamed(name: str, given: Collection[str]) -> str | None:
    """Return a message on a column name that is nearly right; None if it is right, or unrelated."""
    if name in NAMES:
        return None
    likely = _likely(name)
    if likely is None or (likely in given and _folded(name) != _folded(likely)):
        return None
    return f"{name!r:.64} is no column of a transaction: write {likely}"


class Columns:
    """The header of a CSV file, and the reader of its rows."""

    def __init__(self, path: Path, header: Line, required: Collection[str]) -> None:
        """Raises `UnreadableFile` if a column is missing, misnamed or there twice."""
        self._names = self._header(path, header)
        self._optional = frozenset(NAMES) - frozenset(required)
        problem = _problem(self._names, required, header.text)
        if problem:
            raise UnreadableFile(f"{shown(path)}: {problem}")
        self._read = [
            (place, name, _READ.get(name, _text))
            for place, name in enumerate(self._names)
            if name in NAMES
        ]

    @staticmethod
    def _header(path: Path, header: Line) -> list[str]:
        try:
            return _cells(header.text)
        except RefusedRow as exc:
            raise UnreadableFile(f"{shown(path)}: {exc}") from exc

    def read(self, line: Line) -> dict[str, Any]:
        """Read the fields of a row; raises `RefusedRow`."""
        cells = _cells(line.text)
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
        if name not in NAMES or line.endswith('"') or (last and name in _ENUMERATED):
            return None
        return FieldError(
            name, f"{last!r:.64} may be cut off: end the line, the last one, if it is whole"
        )


def _cells(line: str) -> list[str]:
    if not line.isascii():
        try:
            line.encode()
        except UnicodeEncodeError as exc:
            raise RefusedRow(FieldError("", "is not UTF-8: save the file as UTF-8")) from exc
    if '"' not in line:
        return line.rstrip("\r\n").split(",")
    try:
        return next(csv.reader([line], strict=True))
    except csv.Error as exc:
        unclosed = str(exc) == "unexpected end of data"
        why = "a quote does not end on its line" if unclosed else str(exc)
        raise RefusedRow(FieldError("", f"not valid CSV: {why}")) from exc


def _problem(names: Sequence[str], required: Collection[str], line: str) -> str | None:
    if "\0" in line:
        return "it holds NUL bytes: save the file as UTF-8"
    wrong = [problem for name in names if (problem := misnamed(name, names))]
    if missing := [name for name in required if name not in names]:
        problem = f"column {', '.join(missing)} is missing; needed are {', '.join(required)}"
        if other := [_SEPARATORS[each] for each in _SEPARATORS if each in line]:
            return f"{problem}, separated by commas; here are {other[0]}"
        return "; ".join([problem, *wrong])
    if twice := [name for name in NAMES if names.count(name) > 1]:
        return f"column {', '.join(twice)} is there twice"
    return "; ".join(wrong) or None


@lru_cache(1_000)
def _likely(name: str) -> str | None:
    folded = {_folded(each): each for each in NAMES}
    close = difflib.get_close_matches(_folded(name), folded, n=1, cutoff=0.8)
    return folded[close[0]] if close else None


def _folded(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _unreadable(text: str) -> str:
    return f"{text[:64]!r} is not a number" if text else "is empty"


def _text(text: str) -> str:
    return text


def _number(text: str) -> float:
    return _decode_number(text.strip())


def _whole_number(text: str) -> float | int:
    number = _number(text)
    # pandas writes 1.0 for a column of integers that had a gap.
    return int(number) if number.is_integer() else number


_READ: Final[Mapping[str, Callable[[str], Any]]] = {
    **dict.fromkeys(NUMBERS, _number),
    **dict.fromkeys(WHOLE, _whole_number),
}
