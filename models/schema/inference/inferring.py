"""Makes a first draft of a schema from a sample of messages; a person decides on it.

What the draft says is valid for every message of the sample, since each guess is tried on all its
values by the code that reads messages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

import msgspec

from models.parsing import UNREADABLE
from models.schema.consistency import MAX_FIELDS
from models.schema.inference import guessing, writing
from models.schema.inference.assigning import id_of, with_roles
from models.schema.inference.draft import MAX_NAME, Draft, Guess, free_name
from models.schema.inference.leaves import Leaf, Unreachable, keys, leaves
from models.schema.inference.samples import Entry, Sample, SampleError, number
from models.schema.paths import text
from models.schema.reading import read

MAX_MESSAGES: Final = 100_000
"""Messages that a draft is made of at most: all of them are in memory."""
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9]+")


def infer(sample: Sample, name: str, limit: int = MAX_MESSAGES) -> str:
    """Return a schema file for the first messages of a sample, at most `limit`.

    Raises `SampleError` if they are no objects, have no id, or nothing to score by, and
    `UnreadableFile` for what cannot be read.
    """
    messages = _messages(sample, limit)
    if not messages:
        raise SampleError("the sample has no messages")
    found = [*leaves(messages)]
    unreachable = [each for each in found if isinstance(each, Unreachable)]
    places = [each for each in found if isinstance(each, Leaf)]
    guesses = _guesses(places, id_of(places, sample.columns), unreachable)
    draft = Draft(
        name=_NOT_IN_NAMES.sub("_", name).lstrip("_0123456789")[:MAX_NAME] or "mine",
        count=len(messages),
        guesses=with_roles(guesses),
        unreachable=unreachable,
    )
    written = writing.written(draft)
    if not draft.features:
        raise SampleError("nothing in the messages but ids: there is nothing to score by")
    read(written.encode(), "the draft")
    return written


def _guesses(places: Sequence[Leaf], first: Guess, unreachable: list[Unreachable]) -> list[Guess]:
    found, taken = [first], {first.name}
    all_keys = [keys(each.path) for each in places]
    for leaf in places:
        if leaf.path == first.path:
            continue
        field = guessing.guess(keys(leaf.path), leaf.values)
        if field is None or len(found) == MAX_FIELDS:
            why = f"more than {MAX_FIELDS} fields" if field else _why_not(leaf)
            unreachable.append(Unreachable(text(leaf.path), why))
            continue
        name = free_name(keys(leaf.path), all_keys, taken)
        taken.add(name)
        field = msgspec.structs.replace(field, optional=leaf.optional)
        found.append(Guess(name, leaf.path, field, leaf))
    return found


def _messages(sample: Sample, limit: int) -> list[dict[str, Any]]:
    entries = [*islice(sample.entries, limit)]
    for entry in entries:
        if entry.problem is not None:
            raise SampleError(f"line {entry.line}: {entry.problem}")
    if sample.columns is None:
        return [_object(entry) for entry in entries]
    rows = [entry.cells or {} for entry in entries]
    names = dict.fromkeys(sample.columns)
    columns = {name: [row[name] for row in rows if name in row] for name in names}
    numeric = {
        name for name, cells in columns.items() if all(number(cell) is not None for cell in cells)
    }
    return [
        {
            name: number(cell) if name in numeric else cell
            for name, cell in row.items()
            if name in names
        }
        for row in rows
    ]


def _object(entry: Entry) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(entry.raw)
    except UNREADABLE as exc:
        raise SampleError(f"line {entry.line}: not valid JSON: {exc}") from exc
    if not isinstance(found, dict):
        raise SampleError(f"line {entry.line}: must be a JSON object")
    return found


def _why_not(leaf: Leaf) -> str:
    kinds = sorted({type(each).__name__ for each in leaf.values})
    return f"its values ({', '.join(kinds)}) fit no type: too long, too large, or mixed"
