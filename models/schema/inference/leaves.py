"""The places in messages where values are: what a schema can say of them, as paths."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from models.characters import legible
from models.schema.paths import MAX_STEPS, Path, Step, text

_SYNTAX: Final = frozenset('.[]"\\')
"""Characters of a path that no key in it can hold."""
MAX_KEY: Final = 128


class Leaf(NamedTuple):
    """A place where every message has one plain value, null, or nothing."""

    path: Path
    values: list[Any]
    """Those that are there, without nulls."""
    optional: bool
    """Whether some message has null or nothing."""


class Unreachable(NamedTuple):
    """A place that no field can be made of."""

    place: str
    why: str


def keys(path: Path) -> list[str]:
    """Return the keys on the way to a place."""
    return [step.key for step in path]


def leaves(messages: Sequence[Mapping[str, Any]]) -> Iterator[Leaf | Unreachable]:
    """Yield the places of values, in the order in which the messages have them first.

    Places with several shapes are unreachable, with all that lies below them.
    """
    yield from _of_objects(messages, (), len(messages))


def _of_objects(
    objects: Sequence[Mapping[str, Any]], path: Path, count: int
) -> Iterator[Leaf | Unreachable]:
    for key in dict.fromkeys(key for each in objects for key in each):
        here = (*path, Step(key))
        if not key or not key.isprintable() or _SYNTAX & {*key}:
            shown = text((*path, Step(legible(key)[:80])))
            yield Unreachable(shown, 'no path can have a key with . [ ] " \\ or control characters')
        elif len(key) > MAX_KEY or len(here) > MAX_STEPS:
            why = f"keys have {MAX_KEY} characters at most, and paths {MAX_STEPS} keys"
            yield Unreachable(f"{text(here)[:80]}...", why)
        else:
            yield from _of_values([each[key] for each in objects if key in each], here, count)


def _of_values(values: list[Any], path: Path, count: int) -> Iterator[Leaf | Unreachable]:
    present = [each for each in values if each is not None]
    if all(isinstance(each, dict) for each in present) and present:
        yield from _of_objects(present, path, count)
    elif all(isinstance(each, list) for each in present) and present:
        yield from _of_arrays(present, path, count)
    elif any(isinstance(each, dict | list) for each in present):
        yield Unreachable(text(path), "it is not of one shape: an object, an array, or a value")
    else:
        yield from _of_plain(present, path, count)


def _of_arrays(arrays: list[list[Any]], path: Path, count: int) -> Iterator[Leaf | Unreachable]:
    if any(len(each) != 1 for each in arrays):
        yield Unreachable(text(path), "it is an array that does not always have exactly one item")
        return
    items = [each[0] for each in arrays]
    inside = (*path[:-1], Step(path[-1].key, only_item=True))
    if all(isinstance(each, dict) for each in items):
        yield from _of_objects(items, inside, count)
    elif any(isinstance(each, dict | list) for each in items):
        yield Unreachable(text(path), "it is an array whose items are not of one shape")
    else:
        yield from _of_plain([each for each in items if each is not None], inside, count)


def _of_plain(present: list[Any], path: Path, count: int) -> Iterator[Leaf | Unreachable]:
    if present:
        yield Leaf(path, present, len(present) < count)
    else:
        yield Unreachable(text(path), "it is always null")
