"""Lines of JSON: reads the fields of a message, wherever they lie in it."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any, Final

import msgspec

from models.files.cells import NOT_UTF8, RefusedRow
from models.files.fields import FileFields
from models.files.lines import Line
from models.parsing import UNREADABLE
from models.records import FieldError
from models.schema.paths import Path, text

NUMERIC: Final = (int, float)
"""Types of numbers; a boolean is none."""
_decode: Final = msgspec.json.Decoder().decode


class JsonLines:
    """The reader of lines with messages."""

    def __init__(self, required: Collection[str], fields: FileFields) -> None:
        """`required` are the fields that every line must have."""
        self._fields = fields
        self._optional = frozenset(fields.names) - frozenset(required)
        self._quoted = [f'"{step.key}"' for path in fields.paths.values() for step in path]
        self._keys = {step.key for path in fields.paths.values() for step in path}

    def read(self, line: Line) -> dict[str, Any]:
        """Read the fields of a line; raises `RefusedRow`."""
        try:
            message = _decode(line.text)
        except UnicodeEncodeError as exc:
            raise RefusedRow(FieldError("", NOT_UTF8)) from exc
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
            elif name in self._fields.numbers and name in fields and type(value) not in NUMERIC:
                errors.append(FieldError(name, f"must be a number, got {value!r:.64}"))
        if errors:
            raise RefusedRow(*errors)
        return fields

    def _collected(self, message: dict[str, Any]) -> dict[str, Any]:
        """Return the fields of a nested message, by name."""
        found = {
            name: at(message, path, name in self._optional)
            for name, path in self._fields.paths.items()
        }
        return {name: value for name, value in found.items() if value is not msgspec.UNSET}

    def _once(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        if twice := sorted({name for name in names if names.count(name) > 1} & self._keys):
            raise RefusedRow(*(FieldError(name, "is given twice") for name in twice))
        return {}


def at(message: dict[str, Any], path: Path, may_lack: bool) -> Any:
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
