"""What is wrong with the fields of a definition, each alone and beside the others."""

from __future__ import annotations

import keyword
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Final

import msgspec

from models import characters
from models.records import MAX_AMOUNT, MAX_TEXT_CHARACTERS
from models.schema import paths
from models.schema.definition import ID, Definition, Field, Type
from models.schema.fields import bounds, hint

MAX_VALUES: Final = 10_000
"""Values of a category."""
NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
NUMBERS: Final[tuple[Type, ...]] = ("number", "amount")
_MAX_LISTED: Final = 20
"""Values that a message lists."""
_ALLOWED: Final[Mapping[str, tuple[Type, ...]]] = {
    "min": NUMBERS,
    "max": NUMBERS,
    "whole": ("number",),
    "unit": ("amount",),
    "currency": ("amount",),
    "values": ("category",),
    "max_length": ("text", "category"),
    "format": ("time",),
    "form": ("flag",),
}
"""Options that only some types have."""
_ROLES: Final[Mapping[str, tuple[Type, ...]]] = {
    "id": ("text",),
    "time": ("time",),
    "sender": ("text",),
    "receiver": ("text",),
    "amount": NUMBERS,
    "kind": ("category",),
    "label": ("flag",),
    "weight": ("number",),
    "upstream_flag": ("flag",),
}


def problems(definition: Definition) -> Iterator[str]:
    """Yield what is wrong, each with its place."""
    fields = definition.fields
    ids = [name for name, each in fields.items() if each.role == "id"]
    if ids != [ID] or ID not in fields:
        yield f'fields: the id must be the field {ID}, with role = "id"'
    for role in _ROLES:
        same = [name for name, each in fields.items() if each.role == role]
        if len(same) > 1:
            yield f"fields: {' and '.join(same)} have the same role, {role}"
    for name, each in fields.items():
        for problem in _problems_of_field(name, each, definition):
            yield f"fields.{name}: {problem}"
    given = Counter([*fields, *(alias for each in fields.values() for alias in each.columns)])
    if twice := sorted(each for each, count in given.items() if count > 1):
        yield f"fields: {listed(twice)} is the name of more than one column"
    try:
        paths.tree(paths.places(definition))
    except ValueError as exc:
        yield f"fields: {exc}"


def listed(names: Sequence[str]) -> str:
    """Return names for a message, the first of them if there are many."""
    more = len(names) - _MAX_LISTED
    return ", ".join(names[:_MAX_LISTED]) + (f" and {more:,} more" if more > 0 else "")


def unknown(name: str, definition: Definition) -> str:
    """Return that a name is no field, and which one may be meant."""
    close = get_close_matches(name, definition.fields, 1)
    return f"{name!r:.80}, which is no field" + (f"; is it {close[0]}?" if close else "")


def _problems_of_field(name: str, field: Field, definition: Definition) -> Iterator[str]:
    found = [*_problems_of_options(name, field, definition)]
    yield from found
    # Only a sound field has a type that its default can be of.
    if not found and field.default is not None and (problem := _problem_of_default(field)):
        yield problem


def _problems_of_options(name: str, field: Field, definition: Definition) -> Iterator[str]:
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        yield "a name must begin with a letter, and hold letters, digits and _, 63 at most"
    for option, types in _ALLOWED.items():
        if getattr(field, option) not in (None, False) and field.type not in types:
            yield f"{option} is for {' and '.join(types)}, not for {field.type}"
    if field.role and field.type not in _ROLES[field.role]:
        yield f"role {field.role} needs type {' or '.join(_ROLES[field.role])}, not {field.type}"
    if field.role == "id" and (field.optional or field.default is not None):
        yield "an id can be neither optional nor have a default"
    if field.role == "id" and (field.max_length or 0) > MAX_TEXT_CHARACTERS:
        yield f"max_length {field.max_length} is more than an id may have, {MAX_TEXT_CHARACTERS}"
    if field.optional and field.default is not None:
        yield "is optional and has a default: a default already says what missing means"
    yield from _problems_of_bounds(field)
    if field.unit is not None and not 0 < field.unit <= MAX_AMOUNT:
        yield f"unit {field.unit:g} is not above 0, and {MAX_AMOUNT:g} at most"
    if field.max_length is not None and not 0 < field.max_length <= 10_000:
        yield f"max_length {field.max_length} is not in 1 to 10,000"
    if field.type == "time" and field.format is None:
        yield "a time needs format: iso8601, epoch, epoch_ms or hour"
    yield from _problems_of_values(field)
    if field.currency is not None and field.currency not in definition.fields:
        yield f"currency {unknown(field.currency, definition)}"
    try:
        paths.parse(field.path or name)
    except ValueError as exc:
        yield str(exc)


def _problems_of_values(field: Field) -> Iterator[str]:
    if field.values is None:
        return
    if not field.values or len({*field.values}) < len(field.values) or "" in field.values:
        yield "values must be different texts, at least one, none empty"
    for value in field.values:
        if len(value) > MAX_TEXT_CHARACTERS:
            yield f"value {value!r:.80} has more than {MAX_TEXT_CHARACTERS} characters"
        if problem := characters.problem(value):
            yield f"value {value!r:.80} {problem}"


def _problems_of_bounds(field: Field) -> Iterator[str]:
    for name, bound in (("min", field.min), ("max", field.max)):
        if bound is not None and not abs(bound) <= MAX_AMOUNT:  # NaN fails this too
            yield f"{name} {bound:g} is not in {-MAX_AMOUNT:g} to {MAX_AMOUNT:g}"
            return
    if field.type not in NUMBERS:
        return  # it has none, and `_ALLOWED` says so
    least, most = bounds(field)
    if field.whole:
        least, most = math.ceil(least), math.floor(most)
    if least > most:
        yield f"no number is from {least:g} to {most:g}: see min and max"


def _problem_of_default(field: Field) -> str | None:
    # First, since half of a surrogate pair cannot be compared to a pattern.
    if isinstance(field.default, str) and (problem := characters.problem(field.default)):
        return f"default: {problem}"
    try:
        msgspec.convert(field.default, hint(field))
    except msgspec.ValidationError as exc:
        return f"default: {str(exc)[0].lower()}{str(exc)[1:]}"
    except OverflowError:
        return "default: is too large for a number"
    return None
