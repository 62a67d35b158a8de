"""A draft of a schema: the guesses, and the names and features that follow from them."""

from __future__ import annotations

import keyword
import re
from collections.abc import Collection, Iterator, Sequence, Set
from functools import cached_property
from itertools import count, islice
from typing import Any, Final, NamedTuple

import msgspec

from models.schema.consistency import MAX_FEATURES
from models.schema.definition import ID, Feature, Field
from models.schema.inference import guessing
from models.schema.inference.leaves import Leaf, Unreachable, keys
from models.schema.inference.names import GENERIC, is_identifier, tells_label, words
from models.schema.paths import Path

MAX_NAME: Final = 40
"""Characters of a name in a draft; features have names that are longer by some."""
MAX_ONE_HOT: Final = 5
"""Values of a category that get a feature: the most frequent."""
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_UNSEEN: Final = ("id", "weight", "upstream_flag")
"""Roles whose fields the model must not see."""


class Guess(NamedTuple):
    """A field of a draft; `leaf` is None for an id that is made of the number of a row."""

    name: str
    path: Path
    field: Field
    leaf: Leaf | None

    @property
    def tells_label(self) -> bool:
        """Whether it is the label, or by its name tells what that is: no model may see it."""
        if self.field.role in ("label", "upstream_flag"):
            return self.field.role == "label"
        return tells_label(keys(self.path))

    @property
    def is_code(self) -> bool:
        """Whether its numbers only name something, though they are written as floats."""
        values = self.leaf.values if self.leaf else []
        return is_identifier(keys(self.path)) and all(float(each).is_integer() for each in values)


class Draft(msgspec.Struct, frozen=True, kw_only=True, dict=True):
    """All that the text of a draft is written from."""

    name: str
    count: int
    """Messages that it was made of."""
    guesses: Sequence[Guess]
    unreachable: Sequence[Unreachable]

    @cached_property
    def features(self) -> dict[str, Feature]:
        """The features by name, as many as a schema may have."""
        seen = [
            each for each in self.guesses if each.field.role not in _UNSEEN and not each.tells_label
        ]
        made = [pair for each in seen for pair in _features(each)]
        counted = (each for each in seen if each.field.type in ("text", "category"))
        if not made and (text := next(counted, None)):
            made = [(f"{text.name}_share", Feature(frequency=text.name))]
        found: dict[str, Feature] = {}
        for name, feature in islice(made, MAX_FEATURES):
            found[_unused(name, found)] = feature
        return found


def free_name(keys: Sequence[str], all_keys: Sequence[Sequence[str]], taken: Set[str]) -> str:
    """Return a name for the field at these keys of a message, which is none of those taken.

    It is the last key if that can be, says something, and is not another field's too; else it has
    as many of the keys above as that needs.
    """
    known = taken | {ID}
    for first in range(1, len(keys) + 1):
        ending = keys[-first:]
        alike = sum([*each[-first:]] == [*ending] for each in all_keys)
        if alike > 1 or (GENERIC.issuperset(words(ending[0])) and first < len(keys)):
            continue
        for made in (
            ending[0] if first == 1 else "",
            "_".join(w for e in ending for w in words(e)),
        ):
            if _can_be(made) and made not in known:
                return made
    made = "_".join(words(keys[-1]))[:MAX_NAME].strip("_")
    return _unused(made if _can_be(made) else f"field_{len(taken)}", known)


def _can_be(name: str) -> bool:
    return (
        _NAME.fullmatch(name) is not None and len(name) <= MAX_NAME and not keyword.iskeyword(name)
    )


def _unused(name: str, taken: Collection[str]) -> str:
    if name not in taken:
        return name
    return next(made for n in count(2) if (made := f"{name}_{n}") not in taken)


def _features(guess: Guess) -> Iterator[tuple[str, Feature]]:
    name, field = guess.name, guess.field
    if field.type in ("number", "amount"):
        if not guess.is_code:
            yield f"log_{name}", Feature(log=name)
    elif field.type == "time":
        yield f"hour_of_{name}", Feature(hour_of_day=name)
        yield f"day_of_{name}", Feature(day_of_week=name)
    elif field.type == "flag":
        yield f"is_{name}", Feature(one_hot=name)
    elif field.type == "category" and guess.leaf:
        for place, value in enumerate(_told_apart(guess.leaf.values), 1):
            slug = "_".join(words(value))[:16].strip("_") or str(place)
            yield f"{name}_{slug}", Feature(one_hot=name, value=value)
    if field.optional:
        yield f"{name}_missing", Feature(missing=name)


def _told_apart(values: Sequence[Any]) -> list[str]:
    found = guessing.categories(values)
    return [value for value in found if value][:MAX_ONE_HOT] if len(found) > 1 else []
