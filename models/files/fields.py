"""The fields of a schema as columns of a file: their names, and how their cells are read."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Any, Final

import msgspec

from models.files.typed import typed, whole
from models.schema import paths
from models.schema.coercion import flag
from models.schema.definition import Definition, Field
from models.schema.fields import is_whole

_decode_number: Final = msgspec.json.Decoder(float).decode


class FileFields:
    """What a file may hold of the fields of a schema; immutable."""

    def __init__(self, definition: Definition, what: str = "transaction") -> None:
        """`what` is the word for what a row holds."""
        self.what = what
        self.names = tuple(definition.fields)
        self.paths = paths.places(definition)
        """Where the fields lie in a message."""
        self.is_flat = all(paths.text(path) == name for name, path in self.paths.items())
        self.numbers = frozenset(
            name for name, field in definition.fields.items() if _is_number(field)
        )
        self.enumerated = frozenset(
            name
            for name, field in definition.fields.items()
            if field.values is not None or field.type == "flag"
        )
        """Fields with a fixed set of values: a cell that was cut off would not be one of them."""
        self.read: dict[str, Callable[[str], Any]] = {
            name: _reader(field) for name, field in definition.fields.items()
        }
        """How the text of a cell is read, by field; raises `msgspec.DecodeError` if it cannot."""
        self.typed = {name: typed(field) for name, field in definition.fields.items()}
        """What a value that has a type is as JSON, by field; raises `typed.Unreadable`."""
        self._known = {paths.text(path): name for name, path in self.paths.items()}
        self._known |= {
            alias: name for name, field in definition.fields.items() for alias in field.columns
        }
        self._known |= {name: name for name in self.names}
        self._folded = {_folded(each): each for each in self.names}
        self._likely = lru_cache(1_000)(self._closest)

    def field(self, column: str) -> str:
        """Return the field that a column is, by its name, one of its `columns`, or its path.

        The name of the column itself if it is none.
        """
        return self._known.get(column, column)

    def misnamed(self, name: str, given: Collection[str]) -> str | None:
        """Return a message on a column name that is nearly right; None if right, or unrelated."""
        if name in self.names:
            return None
        likely = self._likely(name)
        if likely is None or (likely in given and _folded(name) != _folded(likely)):
            return None
        return f"{name!r:.64} is no column of a {self.what}: write {likely}"

    def _closest(self, name: str) -> str | None:
        close = difflib.get_close_matches(_folded(name), self._folded, n=1, cutoff=0.8)
        return self._folded[close[0]] if close else None


def _is_number(field: Field) -> bool:
    if field.coerce:
        return False
    return (
        field.type in ("number", "amount")
        or (field.type == "time" and field.format != "iso8601")
        or (field.type == "flag" and field.form == "0/1")
    )


def _reader(field: Field) -> Callable[[str], Any]:
    if field.type == "flag" and (field.coerce or field.form != "0/1"):
        return _flag_number if field.form == "0/1" else _flag
    if not _is_number(field):
        return _text
    return _whole_number if field.type == "flag" or is_whole(field) else _number


def _folded(name: str) -> str:
    return "".join(filter(str.isalnum, name.casefold()))


def _text(text: str) -> str:
    return text


def _flag(text: str) -> bool:
    found = flag(text.strip())
    if found is None:
        raise msgspec.DecodeError("not a flag")
    return found


def _flag_number(text: str) -> int:
    return int(_flag(text))


def _number(text: str) -> float:
    return _decode_number(text.strip())


def _whole_number(text: str) -> float | int:
    return whole(_number(text))
