"""Rows of a CSV or JSON lines file. All commands read files with this strict reader."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from models.files.columns import Columns, RefusedRow
from models.files.fields import FileFields
from models.files.lines import Line, UnreadableFile, lines, shown
from models.parsing import UNREADABLE
from models.records import FieldError
from models.schema.paths import Path as Place
from models.schema.paths import text
from models.schema.schema import PAYSIM, Schema

__all__ = ["BadRow", "Row", "UnreadableFile", "is_json", "rows", "stem"]

_JSON: Final = (".json", ".jsonl", ".ndjson")
_NUMERIC: Final = (int, float)
_PACKED: Final = (".gz", ".bz2", ".xz", ".zst")
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


def rows(path: Path, required: Collection[str], schema: Schema = PAYSIM) -> Iterator[Row | BadRow]:
    """Yield the rows of a file with fields of transactions; `required` are the required fields.

    Columns of a CSV file are named as the fields of the schema, or as it says. Lines of JSON are
    messages, whose fields lie where the schema says.

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
    fields = FileFields(schema.definition)
    if is_json(path, first):
        given, read = chain([first], given), _JsonLines(required, fields).read
    else:
        read = Columns(path, first, required, fields).read
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


def is_json(path: Path, first: Line) -> bool:
    """Whether a file holds JSON lines, by its name or else its first line.

    Raises `UnreadableFile` if it is a JSON array.
    """
    begins = first.text.lstrip()[:1]
    name = Path(path.stem) if path.suffix.lower() in _PACKED else path
    found = name.suffix.lower() in _JSON or (name.suffix.lower() != ".csv" and begins in "{[")
    if found and begins == "[":
        raise UnreadableFile(
            f"{shown(path)} is one JSON array; write an object on each line: jq -c '.[]' FILE"
        )
    return found


class _JsonLines:
    def __init__(self, required: Collection[str], fields: FileFields) -> None:
        self._fields = fields
        self._optional = frozenset(fields.names) - frozenset(required)
        self._quoted = [f'"{step.key}"' for path in fields.paths.values() for step in path]
        self._keys = {step.key for path in fields.paths.values() for step in path}

    def read(self, line: Line) -> dict[str, Any]:
        """Read the fields of a line; raises `RefusedRow`."""
        try:
            message = _decode(line.text)
        except UnicodeEncodeError as exc:
            raise RefusedRow(FieldError("", "is not UTF-8")) from exc
        except UNREADABLE as exc:
            raise RefusedRow(FieldError("", f"not valid JSON: {exc}")) from exc
        if not isinstance(message, dict):
            raise RefusedRow(FieldError("", "must be a JSON object"))
        if "\\" in line.text or any(line.text.count(name) > 1 for name in self._quoted):
            # msgspec silently takes the last one.
            json.loads(line.text, object_pairs_hook=self._once)
        return self._checked(message)

    def _checked(self, message: dict[str, Any]) -> dict[str, Any]:
        fields, errors = message, []
        if self._fields.is_flat:
            wrong = (self._fields.misnamed(name, message) for name in message)
            errors = [FieldError("", each) for each in wrong if each]
        else:
            fields = self._collected(message)
        for name in self._fields.names:
            value = fields.get(name, "")
            if value is None and name in self._optional:
                del fields[name]
            elif name in self._fields.numbers and name in fields and type(value) not in _NUMERIC:
                errors.append(FieldError(name, f"must be a number, got {value!r:.64}"))
        if errors:
            raise RefusedRow(*errors)
        return fields

    def _collected(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of a nested message, by name."""
        found = {
            name: _at(message, path, name in self._optional)
            for name, path in self._fields.paths.items()
        }
        return {name: value for name, value in found.items() if value is not msgspec.UNSET}

    def _once(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if twice := sorted({name for name in names if names.count(name) > 1} & self._keys):
            raise RefusedRow(*(FieldError(name, "is given twice") for name in twice))
        return {}


def _at(message: dict[str, Any], path: Place, may_lack: bool) -> Any:
    """Return the value at a path; UNSET if it is not there; raises `RefusedRow`."""
    here: Any = message
    for step in path:
        if not isinstance(here, dict):
            raise RefusedRow(FieldError(text(path), f"must be in an object, not in {here!r:.64}"))
        if step.key not in here:
            return msgspec.UNSET
        here = here[step.key]
        if here is None and may_lack and (step.only_item or step is not path[-1]):
            return msgspec.UNSET
        if step.only_item:
            if not isinstance(here, list) or len(here) != 1:
                wrong = f"{step} must be an array of exactly one item"
                raise RefusedRow(FieldError(text(path), wrong))
            here = here[0]
    return here
