"""The functions of rules: what each takes and gives, and how it is computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from typing import Any, Final, NamedTuple

from models.rules.scope import Kind
from models.schema.definition import Field

_HOUR: Final = 3_600
_HOURS: Final = 24


class Function(NamedTuple):
    """A function of numbers or texts; no argument is missing when it is called."""

    takes: Kind
    gives: Kind
    arguments: range
    """How many it may have."""
    compute: Callable[..., Any]


def least(one: float, *others: float) -> float:
    """Return the smallest, of equal ones the first; NaN if one of them is."""
    for other in others:
        if other < one:
            one = other
        elif not one <= other:
            return math.nan
    return one


def greatest(one: float, *others: float) -> float:
    """Return the largest, of equal ones the first; NaN if one of them is."""
    for other in others:
        if other > one:
            one = other
        elif not one >= other:
            return math.nan
    return one


FUNCTIONS: Final[Mapping[str, Function]] = {
    "abs": Function("number", "number", range(1, 2), abs),
    "min": Function("number", "number", range(2, 500), least),
    "max": Function("number", "number", range(2, 500), greatest),
    "len": Function("text", "number", range(1, 2), len),
    "lower": Function("text", "text", range(1, 2), str.lower),
}
"""By name, those that take any expression; `hour` and `missing` take names."""
HOUR: Final = "hour"
MISSING: Final = "missing"
NAMES: Final = (*FUNCTIONS, HOUR, MISSING)


def hour_of(field: Field) -> str:
    """Return the name of the function from a field with a time to its hour of the day."""
    return {"iso8601": "hour_of_datetime", "hour": "hour_of_hours", "epoch_ms": "hour_of_ms"}.get(
        field.format or "", "hour_of_seconds"
    )


def hour_of_seconds(seconds: float) -> float:
    """Return the whole hour of the day, 0 to 23 in UTC, of seconds since 1970."""
    return seconds // _HOUR % _HOURS


def hour_of_ms(milliseconds: float) -> float:
    """Return the same of milliseconds since 1970."""
    return milliseconds // (1_000 * _HOUR) % _HOURS


def hour_of_hours(hours: float) -> float:
    """Return the same of hours since the data begin, at hour 0 of a day."""
    return hours // 1 % _HOURS


def hour_of_datetime(moment: datetime) -> float:
    """Return the same of a time with an offset."""
    # Its timestamp is rounded, and the last microsecond of an hour would be in the next one.
    return moment.astimezone(timezone.utc).hour


CALLED: Final[Mapping[str, Callable[..., Any]]] = {
    **{name: each.compute for name, each in FUNCTIONS.items()},
    **{each.__name__: each for each in (hour_of_seconds, hour_of_ms, hour_of_hours)},
    hour_of_datetime.__name__: hour_of_datetime,
}
"""All that compiled rules may call, by name."""
