"""Values of files that have types, as a line of JSON would have them."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from typing import Any, Final

from models.errors import Rejected
from models.schema.definition import Field
from models.schema.fields import is_whole

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)


class Unreadable(Rejected, ValueError):
    """A value that cannot be a field's; the message says why."""


def typed(field: Field) -> Callable[[Any], Any]:
    """Return a function to what a line of JSON would have for a value; it raises `Unreadable`.

    Numbers and booleans stand for flags, whole floats for whole numbers, decimals for numbers, and
    times for what the field's format wants. Everything else stays as it is.
    """
    if field.type == "flag":
        return _flag_number if field.form == "0/1" else _flag
    if field.format == "iso8601":
        return _iso8601
    if field.format in ("epoch", "epoch_ms"):
        return lambda value: _epoch(value, field)
    if field.type in ("text", "category"):
        return _text
    return _whole_number if is_whole(field) else _number


def whole(number: float) -> float | int:
    """Return a whole number as one; pandas writes 1.0 where a column of integers had a gap."""
    return int(number) if number.is_integer() else number


def plain(value: Any) -> Any:
    """Return the same where no field is known, for values within lists and objects too.

    What JSON has no type for is None.
    """
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [plain(each) for each in value]
    if isinstance(value, Unreadable):
        raise value
    if is_missing(value) or isinstance(value, bytes | time | timedelta):
        return None
    return value.isoformat() if isinstance(value, date) else _from_decimal(value)


def is_missing(value: Any) -> bool:
    """Whether a value is unknown: null, or not a number, as pandas has it in its frames."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def _from_decimal(value: Any) -> Any:
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)


def _text(value: Any) -> Any:
    if isinstance(value, date):
        raise Unreadable(f"{value} is a time: write it as text")
    return _from_decimal(value)


def _number(value: Any) -> Any:
    if isinstance(value, date):
        raise Unreadable(f"{value} is a time, not a number")
    return float(value) if isinstance(value, Decimal) else value


def _whole_number(value: Any) -> Any:
    number = _number(value)
    return whole(number) if isinstance(number, float) else number


def _flag(value: Any) -> Any:
    return bool(value) if not isinstance(value, str) and value in (0, 1) else value


def _flag_number(value: Any) -> Any:
    return int(value) if not isinstance(value, str) and value in (0, 1) else value


def _iso8601(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date) else value


def _epoch(value: Any, field: Field) -> Any:
    if not isinstance(value, datetime):
        return _whole_number(value) if field.format == "epoch_ms" else _number(value)
    if value.tzinfo is None:
        if not field.coerce:
            raise Unreadable(f"{value} has no offset from UTC")
        value = value.replace(tzinfo=timezone.utc)
    passed: timedelta = value - _EPOCH
    if field.format == "epoch_ms":
        return passed // timedelta(milliseconds=1)
    return passed / timedelta(seconds=1)
