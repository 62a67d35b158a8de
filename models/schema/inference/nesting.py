"""Messages made of the columns of a table, whose names may be paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from models.characters import legible
from models.schema.inference.leaves import Unreachable
from models.schema.paths import Path, Step, parse, tree


def nested(
    columns: Mapping[str, Sequence[Any]], count: int
) -> tuple[list[dict[str, Any]], list[Unreachable]]:
    """Return so many messages, with the values of columns where their names say.

    The second list has the columns that cannot be in them.
    """
    messages: list[dict[str, Any]] = [{} for _ in range(count)]
    unreachable: list[Unreachable] = []
    placed: dict[Step | str, dict[str, Path]] = {}
    for name, values in columns.items():
        try:
            path = parse(name)
            beside = placed.setdefault(path[0].key, {})
            tree(beside | {name: path})
        except ValueError:
            why = "its name is no path of keys, or goes through another column"
            unreachable.append(Unreachable(legible(name)[:80] or "a column without a name", why))
            continue
        beside[name] = path
        for message, value in zip(messages, values, strict=True):
            _put(message, path, value)
    return messages, unreachable


def _put(message: dict[str, Any], path: Path, value: Any) -> None:
    *above, last = path
    for step in above:
        below = message.setdefault(step.key, [{}] if step.only_item else {})
        message = below[0] if step.only_item else below
    message[last.key] = [value] if last.only_item else value
