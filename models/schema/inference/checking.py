"""Tries a schema on a sample of messages, and says what is wrong with those that are invalid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from models.parsing import InvalidTransaction
from models.records import FieldError
from models.schema.definition import ID, Field
from models.schema.inference.samples import Entry, Sample, number
from models.schema.paths import parse
from models.schema.schema import Schema


class Fault(NamedTuple):
    """One invalid message of a sample: where it is, and everything that is wrong with it."""

    line: int
    errors: Sequence[FieldError]

    def __str__(self) -> str:
        """May hold any characters, since the message is its sender's."""
        return f"line {self.line}: {'; '.join(map(str, self.errors))}"


def check(schema: Schema, sample: Sample) -> Iterator[Fault | None]:
    """Yield for each message None if it is valid, or its faults.

    Messages are read as a worker reads them. A cell of a CSV file is the field of that name, of
    that path, or that has the column among its `columns`; cells of numbers and flags are numbers.
    """
    read = reader(schema, sample.columns)
    for entry in sample.entries:
        yield _fault(schema, entry, read)


def reader(schema: Schema, columns: Iterable[str] | None) -> Callable[[Entry], bytes]:
    """Return a function to the bytes of a message; `columns` is the header of a CSV file, if any.

    It is for entries without a problem.
    """
    if columns is None:
        return lambda entry: entry.raw
    placed = _placed(schema.definition.fields, columns)

    def of_row(entry: Entry) -> bytes:
        message: dict[str, Any] = {}
        for column, cell in (entry.cells or {}).items():
            for name in placed.get(column, ()):
                field = schema.definition.fields[name]
                _put(message, field.path or name, _value(field, cell))
        return msgspec.json.encode(message)

    return of_row


def _fault(schema: Schema, entry: Entry, read: Callable[[Entry], bytes]) -> Fault | None:
    if entry.problem is not None:
        return Fault(entry.line, [FieldError("", entry.problem)])
    try:
        schema.parser.parse(read(entry))
    except InvalidTransaction as exc:
        return Fault(entry.line, exc.errors)
    return None


def _placed(fields: Mapping[str, Field], columns: Iterable[str]) -> dict[str, list[str]]:
    """The fields that each column is of: the first of its names that the file has."""
    header = set(columns)
    found: dict[str, list[str]] = {}
    for name, field in fields.items():
        names = (field.path or name, name, *field.columns)
        column = next((each for each in names if each in header), None)
        if column is not None:
            found.setdefault(column, []).append(name)
    if not any(ID in names for names in found.values()):
        found.setdefault(ID, []).append(ID)
    return found


def _value(field: Field, cell: str) -> Any:
    if field.type in ("text", "category") or field.format == "iso8601":
        return cell
    found = number(cell)
    if found is None and field.type == "flag":
        return {"true": True, "false": False}.get(cell.lower(), cell)
    return cell if found is None else found


def _put(message: dict[str, Any], path: str, value: Any) -> None:
    *above, last = parse(path)
    for step in above:
        below = message.setdefault(step.key, [{}] if step.only_item else {})
        message = below[0] if step.only_item else below
    message[last.key] = [value] if last.only_item else value
