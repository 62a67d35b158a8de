"""Whether the tables of a policy file have the keys that they may have, with values of their types.

All that is wrong is found, so what is right of a table can be looked at as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from functools import cache
from math import isnan
from typing import Any, Final, NamedTuple

import msgspec
from msgspec import Struct, inspect

from models.policies.definition import Caps, PolicyFile
from models.policies.faults import Wrong
from models.policies.structure import Path
from models.policies.values import expected, shown

_MAX_KEY: Final = 63
_MAX_UNKNOWN: Final = 10
"""Keys of a table that it cannot have and that are told of; looking for close ones takes time."""


class _Key(NamedTuple):
    type: Any
    required: bool
    expected: str
    texts: tuple[str, ...]
    """The values, if there are only some."""


class Form(NamedTuple):
    """A table of the file, and what of it is as it has to be."""

    path: Path
    given: dict[str, Any]
    fits: dict[str, Any]
    """The values that have the types of their keys."""
    wrong: list[Wrong]
    meant: frozenset[str]
    """Keys that seem to be there, with a misspelt name."""

    def lacks(self, key: str) -> bool:
        """Whether nothing was given for a key, be it right or wrong."""
        return key not in self.given and key not in self.meant


def form(
    given: dict[str, Any], kind: type[Struct], path: Path, *, but: tuple[str, ...] = ()
) -> Form:
    """Compare a table to its type; the values of the keys in `but` are not looked at."""
    keys = _keys(kind)
    made = Form(path, given, {}, [], frozenset(_meant(given, keys)))
    unknown = [each for each in given if each not in keys]
    for name in unknown[:_MAX_UNKNOWN]:
        made.wrong.append(Wrong((*path, name), _unknown(name, keys, kind)))
    if left := unknown[_MAX_UNKNOWN:]:
        made.wrong.append(Wrong((*path, left[0]), f"there are {len(left):,} more such keys"))
    for name, key in keys.items():
        if name in but:
            continue
        if name in given:
            _take(made, name, key)
        elif key.required and made.lacks(name):
            made.wrong.append(Wrong(path, f"{name} is missing, and has to be {key.expected}"))
    return made


def _take(made: Form, name: str, key: _Key) -> None:
    value = made.given[name]
    try:
        # What is not a number is in every range.
        if not (isinstance(value, float) and isnan(value)):
            made.fits[name] = msgspec.convert(value, key.type)
            return
    except (msgspec.ValidationError, ValueError, OverflowError):
        pass
    said = f"{name} is {shown(value)}, and has to be {key.expected}"
    if isinstance(value, str) and (close := _close(value, key.texts)):
        said += f"; did you mean {close}?"
    made.wrong.append(Wrong((*made.path, name), said))


def _meant(given: dict[str, Any], keys: dict[str, _Key]) -> Iterator[str]:
    unknown = (each for each in given if each not in keys)
    for name, _ in zip(unknown, range(_MAX_UNKNOWN), strict=False):
        if close := _close(name, tuple(keys)):
            yield close


def _unknown(name: str, keys: dict[str, _Key], kind: type[Struct]) -> str:
    said = f"there is no key {name[:_MAX_KEY]}"
    if kind is not PolicyFile and name in _keys(PolicyFile):
        return f"{said} here: it stands at the top of the file, above all tables"
    if kind is not Caps and name in _keys(Caps):
        return f"{said} here: it stands in the table [caps]"
    if close := _close(name, tuple(keys)):
        return f"{said}; did you mean {close}?"
    return f"{said}: there are {', '.join(keys)}"


def _close(name: str, names: tuple[str, ...]) -> str | None:
    if len(name) > _MAX_KEY:
        return None
    return next(iter(get_close_matches(name, names, 1)), None)


@cache
def _keys(kind: type[Struct]) -> dict[str, _Key]:
    return {each.name: _key(each.type, each.required) for each in msgspec.structs.fields(kind)}


def _key(type_: Any, required: bool) -> _Key:
    info = inspect.type_info(type_)
    texts = tuple(map(str, info.values)) if isinstance(info, inspect.LiteralType) else ()
    return _Key(type_, required, expected(info), texts)
