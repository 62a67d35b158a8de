"""Values that are written in another way than their type, where the schema allows it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from functools import partial
from typing import Any, Final

import msgspec
from msgspec import structs

from models.records import MAX_TEXT_CHARACTERS
from models.schema.definition import Field
from models.schema.fields import bounds, hint, is_whole

_NUMBER: Final = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
PAIRS: Final = (
    ("true", "false"),
    ("1", "0"),
    ("1.0", "0.0"),
    ("yes", "no"),
    ("y", "n"),
    ("t", "f"),
)
"""What a flag may be written as, set and not; pandas writes 1.0 where a column had a gap."""
FLAGS: Final[Mapping[str, bool]] = {
    text: meant for pair in PAIRS for text, meant in zip(pair, (True, False), strict=True)
}
"""What each of these texts, in lower case, means."""


def flag(written: object) -> bool | None:
    """Return the flag that a text, a number or a boolean stands for; None if it is none."""
    return FLAGS.get(str(written).lower())


def loose_hint(field: Field) -> Any:
    """Return the type of what is taken for a field that may be coerced.

    It has the field's own type in it, with its bounds, so that a value of that type is right.
    """
    own = hint(structs.replace(field, optional=False))
    if field.type in ("text", "category"):
        loose: Any = own | int
    elif field.type == "flag":
        loose = bool | int | str
    elif field.format == "iso8601":
        loose = datetime
    else:
        loose = (own | float if is_whole(field) else own) | str
    return loose | None if field.optional else loose


def uncoerced(field: Field, v: str) -> str:
    """Return an expression for whether the variable `v`, of the loose type, needs no coercion.

    Nearly all values do not: a test costs a tenth of what `coerced` costs.
    """
    if field.type == "flag":
        test = (
            f"type({v}) is int and {v} in (0, 1)" if field.form == "0/1" else f"type({v}) is bool"
        )
    elif field.type in ("text", "category"):
        test = f"type({v}) is str"
    elif field.format == "iso8601":
        test = f"{v}.tzinfo"
    else:
        test = f"type({v}) is int" if is_whole(field) else f"type({v}) is float"
    return f"{v} is None or {test}" if field.optional else test


def coerced(field: Field) -> Callable[[Any], Any]:
    """Return a function to the value of a field; it raises `msgspec.ValidationError`.

    A number may be written as text, a whole number stand for a text, `true`, `1` and the texts of
    `FLAGS` for a flag, and a time have no offset, which is UTC then.
    """
    kind, loose, coerce = hint(field), loose_hint(field), _coercion(field)

    def checked(value: Any) -> Any:
        # A file may hold what a message would not be decoded to.
        value = msgspec.convert(value, loose)
        return None if value is None else msgspec.convert(coerce(value), kind)

    return checked


def coerced_quickly(field: Field) -> Callable[[Any], Any]:
    """Return the same, for values of the loose type, which are not looked at again.

    `msgspec.convert` prepares its type at each call; that is left to values that are refused.
    """
    kind, coerce, fits = hint(field), _coercion(field), _fitting(field)

    def quick(value: Any) -> Any:
        made = coerce(value)
        return made if fits(made) else msgspec.convert(made, kind)

    return quick


def _coercion(field: Field) -> Callable[[Any], Any]:
    if field.type in ("text", "category"):
        return str
    if field.type == "flag":
        return partial(_flag, int if field.form == "0/1" else bool)
    number = partial(_number, int if is_whole(field) else float)
    return partial(_time, number) if field.format == "iso8601" else number


def _fitting(field: Field) -> Callable[[Any], bool]:
    """Return whether a coerced value is certainly one of the field; others may be."""
    if field.values is not None:
        return frozenset(field.values).__contains__
    if field.type in ("text", "category"):
        longest = field.max_length or MAX_TEXT_CHARACTERS
        return lambda value: 0 < len(value) <= longest
    if field.type == "flag" or field.format == "iso8601":
        return lambda value: True
    kind, (least, most) = int if is_whole(field) else float, bounds(field)
    return lambda value: type(value) is kind and least <= value <= most


def _flag(kind: Callable[[bool], Any], value: Any) -> Any:
    found = flag(value)
    if found is None:
        raise msgspec.ValidationError(
            f"Expected a flag: true, false, yes, no, 1 or 0, got {value!r:.80}"
        )
    return kind(found)


def _time(number: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    return number(value)


def _number(kind: Callable[[Any], Any], value: Any) -> Any:
    if not isinstance(value, str):
        return value
    if not _NUMBER.fullmatch(value):
        raise msgspec.ValidationError(f"Expected a number, got {value!r:.80}")
    return kind(value) if kind is float or value.lstrip("-").isdigit() else float(value)
