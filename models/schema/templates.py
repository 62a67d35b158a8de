"""Sentences with values of a transaction in them: `{amount:,.2f}`, `{amount/balance:.1%}`.

These are not Python's format strings, in which an attribute of a value could be asked for.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from string import Formatter
from typing import Any, Final

from models.schema.definition import Definition

_PLACE: Final = re.compile(r"([A-Za-z]\w*)(?:/([A-Za-z]\w*))?", re.ASCII)
_FORMAT: Final = re.compile(r"(?:,?(?:\.\d{1,2})?[f%eg]?)?")
_NUMBERS: Final = ("number", "amount")
MAX_CHARACTERS: Final = 300
UNKNOWN: Final = "unknown"
"""What stands for a value that is missing."""


def problems(template: str, definition: Definition) -> Iterator[str]:
    """Yield what is wrong with a template, in words."""
    if not template or len(template) > MAX_CHARACTERS:
        yield f"{template!r:.80} must have 1 to {MAX_CHARACTERS} characters"
        return
    try:
        parts = list(Formatter().parse(template))
    except ValueError as exc:
        yield f"{template!r:.80} is no template: {exc}"
        return
    for _, place, spec, conversion in parts:
        if place is None:
            continue
        match = _PLACE.fullmatch(place)
        if match is None or conversion or not _FORMAT.fullmatch(spec or ""):
            yield (
                f"{template!r:.80} has {{{place}}}, which is neither a field nor a ratio of two, "
                "or a format other than such as ,.2f and .1%"
            )
            continue
        names = [name for name in match.groups() if name]
        for name in names:
            field = definition.fields.get(name)
            if field is None:
                yield f"{template!r:.80} names {name}, which is no field"
            elif field.role in ("label", "weight"):
                yield f"{template!r:.80} names {name}, which is not known when a decision is made"
            elif (spec or len(names) > 1) and field.type not in _NUMBERS:
                yield f"{template!r:.80} formats {name} as a number, and it is {field.type}"


def compiled(template: str) -> Callable[[Any], str]:
    """Return a function that fills a template, which has no `problems`, from a transaction."""
    parts: list[Callable[[Any], str]] = []
    for literal, place, spec, _ in Formatter().parse(template):
        if literal:
            parts.append(lambda _, literal=literal: literal)  # type: ignore[misc]
        if place is not None:
            name, _, other = place.partition("/")
            parts.append(_filled(name, other, spec or ""))
    return lambda transaction: "".join(part(transaction) for part in parts)


def _filled(name: str, other: str, spec: str) -> Callable[[Any], str]:
    def fill(transaction: Any) -> str:
        value = getattr(transaction, name)
        if other and value is not None:
            divisor = getattr(transaction, other)
            value = value / divisor if divisor else None
        return UNKNOWN if value is None else format(value, spec)

    return fill
