"""What is wrong with the features of a definition, by the fields that they are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from models import characters
from models.records import MAX_AMOUNT
from models.schema.definition import OPERATIONS, Definition, Feature, Field, Type, operation
from models.schema.field_problems import MAX_VALUES, NAME, NUMBERS, listed, unknown
from models.schema.fields import bounds

_OPERANDS: Final[Mapping[str, tuple[int, tuple[Type, ...]]]] = {
    "number": (1, NUMBERS),
    "log": (1, NUMBERS),
    "ratio": (2, NUMBERS),
    "difference": (2, NUMBERS),
    "equal": (2, ("amount",)),
    "exceeds": (2, ("amount",)),
    "zero": (1, NUMBERS),
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
    """Yield what is wrong, each with its place."""
    if not definition.features:
        yield "features: there are none, so nothing can be scored"
    for name, each in definition.features.items():
        for problem in _problems_of_feature(name, each, definition):
            yield f"features.{name}: {problem}"


def _problems_of_feature(name: str, feature: Feature, definition: Definition) -> Iterator[str]:
    if not NAME.fullmatch(name):
        yield "a name must begin with a letter, and hold letters, digits and _, 63 at most"
    given = [each for each in OPERATIONS if getattr(feature, each) is not None]
    if len(given) != 1:
        yield f"needs exactly one of {', '.join(OPERATIONS)}; has {', '.join(given) or 'none'}"
        return
    kind, operands = operation(feature)
    count, types = _OPERANDS[kind]
    if len(operands) != count:
        yield f"{kind} takes {count} field{'s' * (count > 1)}, got {len(operands)}"
        return
    for operand in operands:
        if (field := definition.known().get(operand)) is None:
            yield f"{kind} of {unknown(operand, definition)}"
        elif field.role in _HIDDEN:
            yield f"{operand} has role {field.role}, which no model may see"
        elif field.type not in types:
            yield f"{kind} needs {' or '.join(types)}; {operand} is {field.type}"
        elif kind == "one_hot":
            yield from _problems_of_one_hot(feature.value, operand, field)
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
            yield f"when {category:.80} has no values, so the feature would always be 0"
        if (field := definition.fields.get(category)) is None:
            yield f"when {unknown(category, definition)}"
        elif field.type != "category":
            yield f"when needs a category; {category} is {field.type}"
        else:
            yield from _problems_of_choice(values, category, field)
    if not 0 <= feature.smoothing <= MAX_AMOUNT:
        yield f"smoothing {feature.smoothing:g} is not in 0 to {MAX_AMOUNT:g}"


def _problems_of_one_hot(value: str | None, name: str, field: Field) -> Iterator[str]:
    if field.type == "flag":
        if value is not None:
            yield f"one_hot of a flag takes no value, and {name} is one"
    elif value is None:
        yield f"one_hot of {name} needs a value"
    else:
        yield from _problems_of_choice([value], name, field)


def _problems_of_choice(given: Sequence[str], name: str, field: Field) -> Iterator[str]:
    """Yield what is wrong with values of which a category may have one."""
    if len(given) > MAX_VALUES:
        yield f"{len(given):,} values of {name} are more than {MAX_VALUES:,}"
        return
    if field.values is None:
        for value in given:
            if problem := characters.problem(value):
                yield f"{value!r:.80} is no value of {name}: it {problem}"
        return
    known = {*field.values}
    if unknown := [repr(value)[:80] for value in given if value not in known]:
        are = "are not values" if len(unknown) > 1 else "is not a value"
        yield f"{listed(unknown)} {are} of {name}: {listed(field.values)}"
