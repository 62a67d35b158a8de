"""Makes a first draft of a schema from a sample of messages; a person decides on it.

What the draft says is valid for every message of the sample, since each guess is tried on all its
values by the code that reads messages.
"""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from typing import Final

import msgspec

from models.schema.consistency import MAX_FIELDS
from models.schema.definition import ID
from models.schema.inference import guessing, writing
from models.schema.inference.assigning import id_of, with_roles
from models.schema.inference.draft import MAX_NAME, Draft, Guess, free_name
from models.schema.inference.leaves import Leaf, Unreachable, keys, leaves
from models.schema.inference.samples import Sample, SampleError
from models.schema.paths import text
from models.schema.reading import read

MAX_MESSAGES: Final = 100_000
"""Messages that a draft is made of at most: all of them are in memory."""
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9]+")


def infer(sample: Sample, name: str) -> str:
    """Return a schema file for the messages of a sample.

    Raises `SampleError` if they have no id, or nothing to score by, and `UnreadableFile` if two
    columns have names too similar to tell apart.
    """
    if not sample.messages:
        raise SampleError("the sample has no messages")
    found = [*leaves(sample.messages)]
    unreachable = [*sample.unreachable, *(each for each in found if isinstance(each, Unreachable))]
    places = [each for each in found if isinstance(each, Leaf)]
    columns = {*(sample.columns or ())}
    guesses = _guesses(places, _id(places, sample.columns), unreachable, columns)
    draft = Draft(
        name=_NOT_IN_NAMES.sub("_", name).lstrip("_0123456789")[:MAX_NAME] or "mine",
        count=len(sample.messages),
        guesses=with_roles(guesses),
        unreachable=unreachable,
    )
    written = writing.written(draft)
    if not draft.features:
        raise SampleError("nothing in the messages but ids: there is nothing to score by")
    sample.hold(read(written.encode(), "the draft"))
    return written


def _id(places: Sequence[Leaf], columns: Sequence[str] | None) -> Guess:
    """The column that has the name of the id in files has to be it."""
    if columns is None or ID not in columns:
        return id_of(places, columns)
    try:
        return id_of([each for each in places if text(each.path) == ID], columns)
    except SampleError as exc:
        raise SampleError(f"column {ID} must hold ids: texts, or whole numbers") from exc


def _guesses(
    places: Sequence[Leaf], first: Guess, unreachable: list[Unreachable], columns: Set[str]
) -> list[Guess]:
    """Return a guess for each place; no field has the name of another one's column."""
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
        name = free_name(keys(leaf.path), all_keys, taken | (columns - {text(leaf.path)}))
        taken.add(name)
        field = msgspec.structs.replace(field, optional=leaf.optional)
        found.append(Guess(name, leaf.path, field, leaf))
    return found


def _why_not(leaf: Leaf) -> str:
    kinds = sorted({type(each).__name__ for each in leaf.values})
    return f"its values ({', '.join(kinds)}) fit no type: too long, too large, or mixed"
