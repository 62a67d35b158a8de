"""Reads a schema file, and checks that its parts fit each other."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, TypeVar

import msgspec

from models.errors import NeedsOperator
from models.schema import consistency
from models.schema.definition import Definition, Feature, Field, Reason

T = TypeVar("T")

MAX_BYTES: Final = 1 << 20
MAX_KEY: Final = 2_000
"""Bytes of a key; with thousands of dots in one, TOML's reader would take minutes."""
MAX_TOLD: Final = consistency.MAX_PROBLEMS + 1
"""Problems that are told of a file: those that fit, and that there are more."""
_LONG_KEY: Final = re.compile(rb"^[^=\"'#\n]{%d}" % MAX_KEY, re.MULTILINE)


class SchemaError(NeedsOperator, ValueError):
    """A schema file cannot be used; the message names the file, the place and what is allowed."""

    def __init__(self, source: str, problems: list[str]) -> None:
        self.problems = problems
        told = "; ".join(problems[:MAX_TOLD])
        more = f"; and {len(problems) - MAX_TOLD} more" if len(problems) > MAX_TOLD else ""
        super().__init__(f"{source[:MAX_KEY]}: {told}{more}")


def read(content: bytes, source: str) -> Definition:
    """Return what a schema file says; raises `SchemaError` with all that is wrong in it."""
    return definition_of(_parsed(content, source), source)


def definition_of(parsed: Mapping[str, Any], source: str) -> Definition:
    """Return what the tables of a schema file say; raises like `read`."""
    found = dict(parsed)
    problems: list[str] = []
    fields = _converted(found.pop("fields", {}), Field, "fields", problems)
    features = _converted(found.pop("features", {}), Feature, "features", problems)
    profile = _converted(found.pop("profile", {}), str, "profile", problems)
    given = found.pop("reasons", [])
    numbered = {str(place): each for place, each in enumerate(given, 1)} if _is_list(given) else {}
    if not _is_list(given):
        problems.append("reasons: must be an array of tables, [[reasons]]")
    reasons = _converted(numbered, Reason, "reasons", problems)
    rest = {"fields": {}, "features": {}, **found}
    definition = _convert(lambda: msgspec.convert(rest, Definition), "", problems)
    if problems or definition is None:
        raise SchemaError(source, problems)
    whole = msgspec.structs.replace(
        definition,
        fields=fields,
        profile=profile,
        features=features,
        reasons=list(reasons.values()),
    )
    if problems := [*consistency.problems(whole)]:
        raise SchemaError(source, problems)
    return whole


def _parsed(content: bytes, source: str) -> dict[str, Any]:
    if len(content) > MAX_BYTES:
        raise SchemaError(source, [f"is larger than {MAX_BYTES:,} bytes"])
    if _LONG_KEY.search(content):
        raise SchemaError(source, [f"has a key of more than {MAX_KEY:,} bytes"])
    try:
        found: dict[str, Any] = msgspec.toml.decode(content.decode())
    except UnicodeDecodeError as exc:
        raise SchemaError(source, [f"is not UTF-8: {exc}"]) from exc
    except (msgspec.DecodeError, RecursionError, ValueError) as exc:
        raise SchemaError(source, [f"is not TOML: {exc}"]) from exc
    return found


def _is_list(given: object) -> bool:
    return isinstance(given, list)


def _converted(given: Any, kind: type[T], where: str, problems: list[str]) -> dict[str, T]:
    if not isinstance(given, dict):
        problems.append(f"{where}: must be a table, [{where}.NAME]")
        return {}
    found = {}
    for name, each in given.items():
        made = _convert(partial(msgspec.convert, each, kind), f"{where}.{name}", problems)
        if made is not None:
            found[name] = made
    return found


def _convert(make: Callable[[], T], where: str, problems: list[str]) -> T | None:
    try:
        return make()
    except msgspec.ValidationError as exc:
        text, _, path = str(exc).partition(" - at `$")
        place = where + path.rstrip("`").replace("[...]", "")
        problems.append(f"{place.lstrip('.')}: {text[0].lower()}{text[1:]}".removeprefix(": "))
        return None
