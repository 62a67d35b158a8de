"""What is wrong with a definition whose parts have the right types but do not fit each other."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Final

from models import characters
from models.schema import feature_problems, field_problems, profile_problems, templates
from models.schema.definition import Definition

MAX_FIELDS: Final = 200
MAX_FEATURES: Final = 200
MAX_PROFILE: Final = 100
MAX_SAYS: Final = MAX_FEATURES + 1
"""Sentences of a reason: one for each feature that may be its condition, and one without."""
MAX_PROBLEMS: Final = 50
"""Problems that are told at once."""
_CODE: Final = re.compile(r"[A-Za-z{][A-Za-z0-9_{}]{0,79}")
"""May have fields in it, as templates have."""


def problems(definition: Definition) -> Iterator[str]:
    """Yield what is wrong, each with its place: all of it, or the first `MAX_PROBLEMS`."""
    found = _problems(definition)
    yield from islice(found, MAX_PROBLEMS)
    if next(found, None) is not None:
        yield "and there is more"


def _problems(definition: Definition) -> Iterator[str]:
    if too_many := [*_too_many(definition)]:
        yield from too_many
        return
    if not field_problems.NAME.fullmatch(definition.name):
        yield f"name: {definition.name!r:.80} must begin with a letter, and hold letters, digits, _"
    yield from field_problems.problems(definition)
    yield from profile_problems.problems(definition)
    yield from feature_problems.problems(definition)
    yield from _problems_of_reasons(definition)
    if text := definition.upstream_flag:
        if len(text) > templates.MAX_CHARACTERS:
            yield f"upstream_flag: has more than {templates.MAX_CHARACTERS} characters"
        if problem := characters.problem(text):
            yield f"upstream_flag: {problem}"


def _too_many(definition: Definition) -> Iterator[str]:
    counts: list[tuple[str, Collection[object], int]] = [
        ("fields", definition.fields, MAX_FIELDS),
        ("features", definition.features, MAX_FEATURES),
        ("profile", definition.profile, MAX_PROFILE),
        ("reasons", definition.reasons, MAX_FEATURES),
    ]
    counts += [
        (f"fields.{name}: values", field.values or (), field_problems.MAX_VALUES)
        for name, field in definition.fields.items()
    ]
    counts += [
        (f"reasons.{place}: says", reason.says, MAX_SAYS)
        for place, reason in enumerate(definition.reasons, 1)
    ]
    for where, given, most in counts:
        if len(given) > most:
            yield f"{where}: {len(given):,} are more than {most:,}"


def _problems_of_reasons(definition: Definition) -> Iterator[str]:
    grouped: Counter[str] = Counter()
    for place, reason in enumerate(definition.reasons, 1):
        where = f"reasons.{place}"
        grouped.update(reason.features)
        for name in reason.features:
            if name not in definition.features:
                yield f"{where}: {name!r:.80} is no feature"
        if not reason.says or reason.says[-1].when is not None:
            yield f"{where}: the last entry of says must have no condition"
        for each in reason.says:
            if each.when is not None and each.when not in definition.features:
                yield f"{where}: when = {each.when!r:.80} is no feature"
            if not _CODE.fullmatch(each.code):
                yield f"{where}: code {each.code!r:.80} must hold letters, digits and _"
            for text in (each.code, each.text, *([] if each.against is None else [each.against])):
                yield from (f"{where}: {why}" for why in templates.problems(text, definition))
    for name in definition.features:
        if definition.reasons and grouped[name] != 1:
            times = "in no reason" if name not in grouped else "in more than one reason"
            yield f"features.{name}: is {times}; each feature is in exactly one"
