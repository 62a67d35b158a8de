"""The fields of a schema in the columns of a Parquet file: looks for them once, reads each row."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import msgspec

from models.files.cells import RefusedRow
from models.files.columns import problem
from models.files.fields import FileFields
from models.files.json_lines import NUMERIC, at
from models.files.lines import UnreadableFile, shown
from models.files.parquet import Parquet
from models.files.typed import Unreadable, is_missing
from models.records import FieldError
from models.schema.paths import text


class Records:
    """The fields of a schema in the columns of a file, and the reader of its rows."""

    def __init__(self, file: Parquet, required: Collection[str], fields: FileFields) -> None:
        """Raises `UnreadableFile` if a column is missing, misnamed, there twice, or unreadable."""
        named = [(fields.field(text(leaf.path)), leaf) for leaf in file.leaves]
        found = {name: leaf for name, leaf in named if name in fields.paths}
        outer = [name for name, leaf in named if name in found or len(leaf.path) == 1]
        unread = (f"column {name} {leaf.problem}" for name, leaf in found.items() if leaf.problem)
        if wrong := problem(outer, required, fields) or next(unread, None):
            raise UnreadableFile(f"{shown(file.path)}: {wrong}")
        self.columns = list(dict.fromkeys(leaf.path[0].key for leaf in found.values()))
        """The columns that hold fields."""
        self._numbers = fields.numbers
        self._optional = frozenset(fields.names) - frozenset(required)
        self._read = [
            (name, found[name].path, fields.typed[name]) for name in fields.names if name in found
        ]

    def read(self, record: dict[str, Any]) -> dict[str, Any]:
        """Read the fields of a row; raises `RefusedRow`."""
        fields: dict[str, Any] = {}
        errors: list[FieldError] = []
        for name, path, convert in self._read:
            try:
                value = at(record, path, name in self._optional)
                if value is msgspec.UNSET or is_missing(value):
                    if name not in self._optional:
                        errors.append(FieldError(name, "is null"))
                    continue
                if isinstance(value, Unreadable):
                    raise value
                fields[name] = convert(value)
            except RefusedRow as exc:
                errors += exc.errors
            except Unreadable as exc:
                errors.append(FieldError(name, str(exc)))
            else:
                if name in self._numbers and type(fields[name]) not in NUMERIC:
                    wrong = f"must be a number, got {fields[name]!r:.64}"
                    errors.append(FieldError(name, wrong))
        if errors:
            raise RefusedRow(*errors)
        return fields
