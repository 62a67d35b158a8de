"""What is wrong with the values of profiles that a definition declares."""

from __future__ import annotations

import keyword
from collections.abc import Iterator
from typing import Final, cast

from models.profiles.values import AMOUNTS, Value, parse
from models.schema.definition import Definition, Field, Role
from models.schema.field_problems import NAME, NUMBERS, unknown

MAX_KEYS: Final = 8
"""Fields by whose values there are profiles: each costs as much as the first."""
_KEYS: Final = ("text", "category")
_NO_KEYS: Final = ("id", "label", "weight", "upstream_flag")


def problems(definition: Definition) -> Iterator[str]:
    """Yield what is wrong, each with its place."""
    keys = set()
    for name, text in definition.profile.items():
        where = f"profile.{name}"
        if not NAME.fullmatch(name) or keyword.iskeyword(name):
            yield f"{where}: a name must begin with a letter, and hold letters, digits and _"
        if name in definition.fields:
            yield f"{where}: a field has this name, too"
        try:
            value = parse(text)
        except ValueError as exc:
            yield f"{where}: {text!r:.80}: {exc}"
            continue
        found = [*_problems_of(value, definition)]
        yield from (f"{where}: {each}" for each in found)
        if not found:
            keys.add(resolved(value, definition).key)
    if len(keys) > MAX_KEYS:
        yield f"profile: {len(keys)} fields are keys, and {MAX_KEYS} may be"


def resolved(value: Value, definition: Definition) -> Value:
    """Return a value with the names of fields in place of roles; it has no problems."""
    of = value.of and _field(value.of, definition)
    return value._replace(key=_field(value.key, definition) or value.key, of=of)


def _field(name: str, definition: Definition) -> str | None:
    """Return the field that a role or a name means; a field of its own name comes first."""
    if name in definition.fields:
        return name
    return definition.role(cast("Role", name)) if name in ("sender", "receiver") else None


def _problems_of(value: Value, definition: Definition) -> Iterator[str]:
    for name in filter(None, (value.key, value.of)):
        found = _field(name, definition)
        if found is None and name in ("sender", "receiver"):
            yield f"no field has the role {name}"
        elif found is None:
            yield f"{value.function} of {unknown(name, definition)}"
        elif problem := _problem_of_key(found, definition.fields[found]):
            yield problem
    if value.of and _field(value.of, definition) == _field(value.key, definition):
        yield f"{value.of} has one value in the profile of each {value.key}"
    if value.function in AMOUNTS:
        amount = definition.role("amount")
        if amount is None or definition.fields[amount].type not in NUMBERS:
            yield f"{value.function} is of amounts, and no field has the role amount"


def _problem_of_key(name: str, field: Field) -> str | None:
    if field.role in _NO_KEYS:
        return f"{name} has the role {field.role}: there is nothing to remember by it"
    if field.type not in _KEYS:
        return f"{name} is {field.type}, and only {' and '.join(_KEYS)} can be keys"
    return None
