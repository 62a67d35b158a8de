"""Sentences with values of a transaction in them: `{amount:,.2f}`, `{amount/balance:.1%}`.

What a ratio leaves of 1 is `{1-amount/balance:.1%}`.

These are not Python's format strings, in which an attribute of a value could be asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from string import Formatter
from typing import Any, Final

from models import characters
from models.schema.definition import Definition

_REST: Final = "1-"
_PLACE: Final = re.compile(rf"(?:{_REST}(?=\w+/))?([A-Za-z]\w*)(?:/([A-Za-z]\w*))?", re.ASCII)
_FORMAT: Final = re.compile(r",?(?:\.\d{1,2})?[f%eg]?")
_BARE_PRECISION: Final = re.compile(r",?\.\d+")
"""A precision without a type, which Python has for floats alone."""
_NUMBERS: Final = ("number", "amount")
MAX_CHARACTERS: Final = 300
UNKNOWN: Final = "unknown"
"""What stands for a value that is missing."""


def problems(template: str, definition: Definition) -> Iterator[str]:
    """Yield what is wrong with a template, in words."""
    if not template or len(template) > MAX_CHARACTERS:
        yield f"{template!r:.80} must have 1 to {MAX_CHARACTERS} characters"
        return
    if problem := characters.problem(template):
        yield f"{template!r:.80} {problem}"
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
            field = definition.known().get(name)
            if field is None:
                yield f"{template!r:.80} names {name}, which is no field"
            elif field.role in ("label", "weight"):
                yield f"{template!r:.80} names {name}, which is not known when a decision is made"
            elif (spec or len(names) > 1) and field.type not in _NUMBERS:
                yield f"{template!r:.80} formats {name} as a number, and it is {field.type}"
            elif len(names) == 1 and field.whole and _BARE_PRECISION.fullmatch(spec or ""):
                yield f"{template!r:.80} formats {name}, which is whole, by {spec}: write {spec}f"


def compiled(template: str, definition: Definition) -> Callable[[Any], str]:
    """Return a function that fills a template, which has no `problems`, from a transaction."""
    names: dict[str, Any] = {"filled": _filled, "ratio": _ratio, "rest": _rest}
    known = definition.known()
    parts: list[str] = []
    for literal, place, spec, _ in Formatter().parse(template):
        if literal:
            names[f"L{len(names)}"] = literal
            parts.append(f"{{L{len(names) - 1}}}")
        if place is None:
            continue
        name, _, other = place.removeprefix(_REST).partition("/")
        if other:
            fill = "rest" if place.startswith(_REST) else "ratio"
            parts.append(f"{{{fill}(t.{name}, t.{other}, {spec!r})}}")
        elif known[name].optional:
            parts.append(f"{{filled(t.{name}, {spec!r})}}")
        else:
            parts.append(f"{{t.{name}:{spec}}}")
    # Of the file, only names of fields and formats get into the source; both are checked.
    made: Callable[[Any], str] = eval(f'lambda t: f"{"".join(parts)}"', names)  # noqa: S307
    return made


def _filled(value: Any, spec: str) -> str:
    return UNKNOWN if value is None else format(value, spec or "")


def _ratio(value: Any, divisor: Any, spec: str) -> str:
    return _finite(value / divisor, spec) if value is not None and divisor else UNKNOWN


def _rest(value: Any, divisor: Any, spec: str) -> str:
    if value is None or not divisor:
        return UNKNOWN
    # Amounts that are equal but for the last bit leave 0, and not less.
    return _finite(round(1.0 - value / divisor, 9) + 0.0, spec)


def _finite(number: float, spec: str) -> str:
    return format(number, spec or "") if math.isfinite(number) else UNKNOWN
