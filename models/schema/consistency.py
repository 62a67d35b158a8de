"""What is wrong with a definition whose parts have the right types but do not fit each other."""

from __future__ import annotations

import keyword
import math
import re
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Final

import msgspec

from models import characters
from models.records import MAX_AMOUNT, MAX_TEXT_CHARACTERS
from models.schema import paths, templates
from models.schema.definition import ID, OPERATIONS, Definition, Feature, Field, Type, operation
from models.schema.fields import bounds, hint

MAX_FIELDS: Final = 200
MAX_FEATURES: Final = 200
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_CODE: Final = re.compile(r"[A-Z][A-Z0-9_]{0,62}")
_NUMBERS: Final[tuple[Type, ...]] = ("number", "amount")
_ALLOWED: Final[Mapping[str, tuple[Type, ...]]] = {
    "min": _NUMBERS,
    "max": _NUMBERS,
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
    "amount": _NUMBERS,
    "kind": ("category",),
    "label": ("flag",),
    "weight": ("number",),
    "upstream_flag": ("flag",),
}
_OPERANDS: Final[Mapping[str, tuple[int, tuple[Type, ...]]]] = {
    "number": (1, _NUMBERS),
    "log": (1, _NUMBERS),
    "ratio": (2, _NUMBERS),
    "difference": (2, _NUMBERS),
    "equal": (2, ("amount",)),
    "exceeds": (2, ("amount",)),
    "zero": (1, _NUMBERS),
    "one_hot": (1, ("category", "flag")),
    "frequency": (1, ("category", "text")),
    "rate": (1, ("category", "text")),
    "hour_of_day": (1, ("time",)),
    "day_of_week": (1, ("time",)),
    "missing": (1, ("text", "number", "amount", "category", "flag", "time")),
}
"""How many fields an operation takes, and of which types."""
_HIDDEN: Final = ("label", "weight", "upstream_flag", "id")
"""Roles whose fields the model must not see."""


def problems(definition: Definition) -> Iterator[str]:
    """Yield everything that is wrong, each with its place."""
    if not _NAME.fullmatch(definition.name):
        yield f"name: {definition.name!r:.80} must begin with a letter, and hold letters, digits, _"
    yield from _problems_of_fields(definition)
    yield from _problems_of_features(definition)
    yield from _problems_of_reasons(definition)


def _problems_of_fields(definition: Definition) -> Iterator[str]:
    fields = definition.fields
    if len(fields) > MAX_FIELDS:
        yield f"fields: {len(fields)} are more than {MAX_FIELDS}"
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
    given = [*fields, *(alias for each in fields.values() for alias in each.columns)]
    if twice := sorted({each for each in given if given.count(each) > 1}):
        yield f"fields: {', '.join(twice)} is the name of more than one column"
    try:
        paths.tree(paths.places(definition))
    except ValueError as exc:
        yield f"fields: {exc}"


def _problems_of_field(name: str, field: Field, definition: Definition) -> Iterator[str]:
    found = [*_problems_of_options(name, field, definition)]
    yield from found
    # Only a sound field has a type that its default can be of.
    if not found and field.default is not None and (problem := _problem_of_default(field)):
        yield problem


def _problems_of_options(name: str, field: Field, definition: Definition) -> Iterator[str]:
    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
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
    if field.unit is not None and not field.unit > 0:
        yield f"unit {field.unit:g} is not above 0"
    if field.max_length is not None and not 0 < field.max_length <= 10_000:
        yield f"max_length {field.max_length} is not in 1 to 10,000"
    if field.type == "time" and field.format is None:
        yield "a time needs format: iso8601, epoch, epoch_ms or hour"
    if field.values is not None and (
        not field.values or len(set(field.values)) < len(field.values) or "" in field.values
    ):
        yield "values must be different texts, at least one, none empty"
    if field.currency is not None and field.currency not in definition.fields:
        yield f"currency {_unknown(field.currency, definition)}"
    try:
        paths.parse(field.path or name)
    except ValueError as exc:
        yield str(exc)


def _problems_of_bounds(field: Field) -> Iterator[str]:
    for name, bound in (("min", field.min), ("max", field.max)):
        if bound is not None and not abs(bound) <= MAX_AMOUNT:  # NaN fails this too
            yield f"{name} {bound:g} is not in {-MAX_AMOUNT:g} to {MAX_AMOUNT:g}"
            return
    least, most = bounds(field)
    if field.whole:
        least, most = math.ceil(least), math.floor(most)
    if least > most:
        yield f"no number is from {least:g} to {most:g}: see min and max"


def _problem_of_default(field: Field) -> str | None:
    try:
        made = msgspec.convert(field.default, hint(field))
    except msgspec.ValidationError as exc:
        return f"default: {str(exc)[0].lower()}{str(exc)[1:]}"
    if isinstance(made, str) and (problem := characters.problem(made)):
        return f"default: {problem}"
    return None


def _problems_of_features(definition: Definition) -> Iterator[str]:
    if not definition.features:
        yield "features: there are none, so nothing can be scored"
    if len(definition.features) > MAX_FEATURES:
        yield f"features: {len(definition.features)} are more than {MAX_FEATURES}"
    for name, each in definition.features.items():
        for problem in _problems_of_feature(name, each, definition):
            yield f"features.{name}: {problem}"


def _problems_of_feature(name: str, feature: Feature, definition: Definition) -> Iterator[str]:
    if not _NAME.fullmatch(name):
        yield "a name must begin with a letter, and hold letters, digits and _, 63 at most"
    given = [each for each in OPERATIONS if getattr(feature, each) is not None]
    if len(given) != 1:
        yield f"needs exactly one of {', '.join(OPERATIONS)}; has {', '.join(given) or 'none'}"
        return
    kind, operands = operation(feature)
    count, types = _OPERANDS[kind]
    if len(operands) != count:
        yield f"{kind} takes {count} field{'s' * (count > 1)}, got {len(operands)}"
    for operand in operands:
        if (field := definition.fields.get(operand)) is None:
            yield f"{kind} of {_unknown(operand, definition)}"
        elif field.role in _HIDDEN:
            yield f"{operand} has role {field.role}, which no model may see"
        elif field.type not in types:
            yield f"{kind} needs {' or '.join(types)}; {operand} is {field.type}"
        elif kind == "one_hot":
            yield from _problems_of_value(feature.value, operand, field)
        elif kind == "ratio" and not bounds(field)[0] >= 0.0:
            yield f"ratio needs numbers that are not negative: give {operand} a min of 0"
        elif kind == "missing" and not field.optional:
            yield f"{operand} is not optional, so it is never missing"
    if feature.value is not None and kind != "one_hot":
        yield f"value is for one_hot, not for {kind}"
    if feature.positive and kind != "equal":
        yield f"positive is for equal, not for {kind}"
    if feature.when and kind not in ("equal", "exceeds"):
        yield f"when is for equal and exceeds, not for {kind}"
    for category, values in (feature.when or {}).items():
        if not values:
            yield f"when {category} has no values, so the feature would always be 0"
        if (field := definition.fields.get(category)) is None:
            yield f"when {_unknown(category, definition)}"
        elif field.type != "category":
            yield f"when needs a category; {category} is {field.type}"
        else:
            for value in values:
                yield from _problems_of_value(value, category, field)
    if not feature.smoothing >= 0:
        yield f"smoothing {feature.smoothing:g} is below 0"


def _problems_of_value(value: str | None, name: str, field: Field) -> Iterator[str]:
    if field.type == "flag":
        if value is not None:
            yield f"one_hot of a flag takes no value, and {name} is one"
    elif value is None:
        yield f"one_hot of {name} needs a value"
    elif field.values is not None and value not in field.values:
        yield f"{value!r:.80} is not a value of {name}: {', '.join(field.values)}"


def _problems_of_reasons(definition: Definition) -> Iterator[str]:
    grouped: list[str] = []
    for place, reason in enumerate(definition.reasons, 1):
        where = f"reasons.{place}"
        grouped += reason.features
        for name in reason.features:
            if name not in definition.features:
                yield f"{where}: {name!r:.80} is no feature"
        if not reason.says or reason.says[-1].when is not None:
            yield f"{where}: the last entry of says must have no condition"
        for each in reason.says:
            if each.when is not None and each.when not in definition.features:
                yield f"{where}: when = {each.when!r:.80} is no feature"
            if not _CODE.fullmatch(each.code.replace("{", "").replace("}", "").upper()):
                yield f"{where}: code {each.code!r:.80} must hold letters, digits and _"
            for text in (each.code, each.text):
                yield from (f"{where}: {why}" for why in templates.problems(text, definition))
    for name in definition.features:
        if definition.reasons and grouped.count(name) != 1:
            times = "in no reason" if name not in grouped else "in more than one reason"
            yield f"features.{name}: is {times}; each feature is in exactly one"


def _unknown(name: str, definition: Definition) -> str:
    close = get_close_matches(name, definition.fields, 1)
    return f"{name!r:.80}, which is no field" + (f"; is it {close[0]}?" if close else "")
