"""Where fields lie in a message: keys separated by dots, and arrays that have exactly one item."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple, Union

from models.schema.definition import Definition

# msgspec takes no other characters that JSON escapes in the names of keys, and no half of a pair.
_STEP: Final = re.compile(r"([^.\[\]\"\\\x00-\x1f\x7f\ud800-\udfff]+)((?:\[0\])?)")
MAX_STEPS: Final = 32


class Step(NamedTuple):
    """A key of an object; with `only_item`, of an array whose only item is gone into."""

    key: str
    only_item: bool = False

    def __str__(self) -> str:
        return f"{self.key}[0]" if self.only_item else self.key


Path = tuple[Step, ...]
Tree = dict[Step, Union["Tree", str]]
"""By step, what lies there: an object, or the field of this name."""


def parse(path: str) -> Path:
    """Return the steps of a path; raises `ValueError` if it is none."""
    steps = []
    for each in path.split("."):
        match = _STEP.fullmatch(each)
        if match is None:
            raise ValueError(
                f"path {path!r:.200} must be keys separated by dots, such as a.b or a.list[0].b"
            )
        steps.append(Step(match[1], bool(match[2])))
    if len(steps) > MAX_STEPS:
        raise ValueError(f"path {path!r:.200} has more than {MAX_STEPS} keys")
    return tuple(steps)


def text(path: Path) -> str:
    """Return a path as it is written."""
    return ".".join(map(str, path))


def places(definition: Definition) -> dict[str, Path]:
    """Return where each field lies in a message; raises `ValueError` for a path that is none."""
    return {name: parse(field.path or name) for name, field in definition.fields.items()}


def tree(fields: Mapping[str, Path]) -> Tree:
    """Return the nested form of paths, by field; raises `ValueError` if two do not fit together."""
    found: Tree = {}
    for name, path in fields.items():
        here = found
        for step in path[:-1]:
            other = Step(step.key, not step.only_item)
            inner = here.setdefault(step, {})
            if isinstance(inner, str) or other in here:
                raise ValueError(f"path {text(path)} of {name} goes through another field's value")
            here = inner
        last = path[-1]
        if any(step.key == last.key for step in here):
            raise ValueError(f"path {text(path)} of {name} is taken by another field")
        here[last] = name
    return found


def names(tree: Tree | str) -> list[str]:
    """Return the fields that lie in a part of a message."""
    if isinstance(tree, str):
        return [tree]
    return [name for below in tree.values() for name in names(below)]
