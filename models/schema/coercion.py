"""Values that are written in another way than their type, where the schema allows it."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any, Final

import msgspec

from models.schema.definition import Field
from models.schema.fields import hint

_NUMBER: Final = re.compile(r"-?\d{1,30}(?:\.\d{1,30})?(?:[eE][+-]?\d{1,3})?", re.ASCII)
_FLAGS: Final = {"true": True, "false": False, "1": True, "0": False, 1: True, 0: False}


def loose_hint(field: Field) -> Any:
    """Return the type of what is taken for a field that may be coerced."""
    if field.type in ("text", "category"):
        loose: Any = str | int
    elif field.type == "flag":
        loose = bool | int | str
    elif field.format == "iso8601":
        loose = datetime
    else:
        loose = int | float | str
    return loose | None if field.optional else loose


def coerced(field: Field) -> Callable[[Any], Any]:
    """Return a function to the value of a field; it raises `msgspec.ValidationError`.

    A number may be written as text, a whole number stand for a text, `true`, `1` and their texts
    for a flag, and a time have no offset, which is UTC then.
    """
    kind = hint(field)
    made = {"text": _text, "category": _text, "flag": _flag, "time": _time}.get(field.type, _number)

    loose = loose_hint(field)

    def coerce(value: Any) -> Any:
        # A file may hold what a message would not be decoded to.
        value = msgspec.convert(value, loose)
        return None if value is None else msgspec.convert(made(value, field), kind)

    return coerce


def _text(value: Any, field: Field) -> Any:
    return value if isinstance(value, str) else str(value)


def _flag(value: Any, field: Field) -> Any:
    found = _FLAGS.get(value.lower() if isinstance(value, str) else value)
    if found is None:
        raise msgspec.ValidationError(f"Expected a flag: true, false, 1 or 0, got {value!r:.80}")
    return int(found) if field.form == "0/1" else found


def _time(value: Any, field: Field) -> Any:
    if isinstance(value, datetime):
        return value if value.tzinfo else value.replace(tzinfo=timezone.utc)
    return _number(value, field)


def _number(value: Any, field: Field) -> Any:
    if not isinstance(value, str):
        return value
    if not _NUMBER.fullmatch(value):
        raise msgspec.ValidationError(f"Expected a number, got {value!r:.80}")
    whole = value.lstrip("-").isdigit()
    return int(value) if whole else float(value)
