"""The fields of a schema as types: what a value may be, and what it is as a number."""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from models.characters import ALLOWED_CHARACTERS
from models.records import MAX_AMOUNT, MAX_STEP, MAX_TEXT_CHARACTERS
from models.schema.definition import Definition, Field

UNIT: Final = 0.01
"""The smallest unit of an amount that says nothing of it."""
MAX_EPOCH: Final = 253_402_300_799
"""The last second of the year 9999."""


def bounds(field: Field) -> tuple[float, float]:
    """Return the smallest and the largest number that a field may have."""
    least, most = {
        "amount": (0.0, MAX_AMOUNT),
        "number": (-MAX_AMOUNT, MAX_AMOUNT),
        "flag": (0.0, 1.0),
        "time": {"hour": (1.0, MAX_STEP), "epoch_ms": (0.0, 1e3 * MAX_EPOCH)}.get(
            field.format or "", (-MAX_EPOCH, MAX_EPOCH)
        ),
    }.get(field.type, (-math.inf, math.inf))
    return least if field.min is None else field.min, most if field.max is None else field.max


def hint(field: Field) -> Any:
    """Return the type of a field's value, for msgspec."""
    return (_value(field) | None) if field.optional else _value(field)


def default(field: Field) -> tuple[Any, ...]:
    """Return the value of a field that is not in a message; nothing if it has to be there."""
    if field.optional:
        return (None,)
    return () if field.default is None else (msgspec.convert(field.default, hint(field)),)


def required(definition: Definition) -> list[str]:
    """Return the fields that every message has to have, in their order."""
    return [name for name, field in definition.fields.items() if not default(field)]


def _value(field: Field) -> Any:
    about: dict[str, Any] = {"description": field.description} if field.description else {}
    least, most = bounds(field)
    if field.type in ("text", "category"):
        if field.values is not None:
            values: Any = Literal[tuple(field.values)]
            return Annotated[values, Meta(**about)] if about else values
        longest = MAX_TEXT_CHARACTERS if field.max_length is None else field.max_length
        about = {"description": ALLOWED_CHARACTERS} | about
        if field.role == "id":
            about["min_length"] = 1
        return Annotated[str, Meta(max_length=longest, **about)]
    if field.type == "flag":
        return Literal[0, 1] if field.form == "0/1" else bool
    if field.type == "time":
        if field.format == "iso8601":
            return Annotated[datetime, Meta(tz=True, **about)]
        kind: Any = int if is_whole(field) else float
        return Annotated[kind, Meta(ge=kind(least), le=kind(most), **about)]
    if is_whole(field):
        return Annotated[int, Meta(ge=math.ceil(least), le=math.floor(most), **about)]
    if field.type == "amount" and "description" not in about:
        about = {"description": "account currency"}
    return Annotated[float, Meta(ge=least, le=most, **about)]


def is_whole(field: Field) -> bool:
    """Whether a number, or a time as one, is whole."""
    return field.whole or field.format in ("hour", "epoch_ms")


def unit(field: Field) -> float:
    """Return the smallest unit of an amount."""
    return UNIT if field.unit is None else field.unit


def number(field: Field) -> Callable[[Any], float] | None:
    """Return a function from a field's value to a float, NaN if missing; None if it is a number."""
    if field.type == "time" and field.format == "iso8601":
        return lambda value: math.nan if value is None else value.timestamp()
    return (lambda value: math.nan if value is None else value) if field.optional else None


def is_text(field: Field) -> bool:
    """Whether values are texts, whose characters have to be checked."""
    return field.type in ("text", "category") and field.values is None


def texts(definition: Definition) -> list[str]:
    """Return the fields whose characters have to be checked."""
    return [name for name, field in definition.fields.items() if is_text(field)]
