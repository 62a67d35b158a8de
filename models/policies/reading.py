"""Reads a policy file, and checks it against a schema: all that is wrong is told with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from models.errors import Rejected
from models.policies import sense
from models.policies.definition import PolicyFile
from models.policies.faults import BEGINNING, Fault, Wrong, at, located
from models.policies.places import Lines, Place
from models.policies.structure import PART
from models.policies.tables import tables
from models.schema.schema import Schema

MAX_BYTES: Final = 1 << 20
_TOLD: Final = 50
_EMPTY: Final = (
    "the file says nothing: a policy has at least its thresholds, such as flag_at = 0.5 and "
    "block_at = 0.8"
)
_MARK: Final = "\ufeff"
_AT: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_DEEP: Final = re.compile(rf"(?:^|[\[{{,])[ \t]*(?:{PART}[ \t]*\.[ \t]*){{16}}", re.MULTILINE)
"""Keys of more parts than any policy has; the reader of TOML takes quadratic time for them.

It begins only where a key may, so that no part of a text is looked at from many places.
"""


class PolicyError(Rejected, ValueError):
    """A policy that cannot be in force; the message has a line for each of the first faults."""

    def __init__(self, problems: Sequence[str | Fault]) -> None:
        self.faults = [
            each if isinstance(each, Fault) else Fault(problem=each) for each in problems
        ]
        """All that is wrong, in the order of the file."""
        self.problems = [str(each) for each in self.faults]
        """The same, each with its place and its rule in one sentence."""
        left = len(problems) - _TOLD
        self.told = [*self.problems[:_TOLD], *([f"and {left:,} more"] if left > 0 else [])]
        """The first of them, and how many more there are."""
        super().__init__("\n".join(self.told))


def read(content: bytes, schema: Schema) -> PolicyFile:
    """Return what a policy file says; raises `PolicyError` with all that is wrong."""
    text = _decoded(content)
    parsed = parsed_text(text)
    if not parsed:
        raise PolicyError([at(BEGINNING, _EMPTY)])
    if wrong := [*_wrong(parsed, schema)]:
        raise PolicyError(located(wrong, parsed, text))
    try:
        return msgspec.convert(parsed, PolicyFile)
    except msgspec.ValidationError as exc:
        raise PolicyError([at(BEGINNING, f"{exc}")]) from exc


def _decoded(content: bytes) -> str:
    """Return a file as text, whose lines end with LF."""
    if len(content) > MAX_BYTES:
        raise PolicyError([at(BEGINNING, f"the file is larger than {MAX_BYTES:,} bytes")])
    try:
        text = content.decode()
    except UnicodeDecodeError as exc:
        before = content[: exc.start].decode()
        place = Lines(before).place(len(before))
        raise PolicyError([at(place, f"the file is not UTF-8: {exc.reason}")]) from exc
    if text.startswith(_MARK):
        said = "the file begins with a byte order mark: save it as UTF-8 without one"
        raise PolicyError([at(BEGINNING, said)])
    return text.replace("\r\n", "\n")


def parsed_text(text: str) -> dict[str, Any]:
    """Return the tables of a policy file, whatever they say; raises `PolicyError`."""
    if deep := _DEEP.search(text):
        said = "a key has more than 16 parts, and those of a policy have 3 at most"
        raise PolicyError([at(Lines(text).place(deep.start()), said)])
    try:
        parsed: dict[str, Any] = msgspec.toml.decode(text)
    except RecursionError as exc:
        said = "the arrays and tables of the file are too deep in each other"
        raise PolicyError([at(BEGINNING, said)]) from exc
    except (msgspec.DecodeError, ValueError) as exc:
        message = str(exc)
        where = _AT.search(message)
        place = BEGINNING
        if where:
            known = where[1] is not None
            place = Place(int(where[1]), int(where[2])) if known else Lines(text).place(len(text))
        said = f"the file is not TOML: {_AT.sub('', message)}"
        raise PolicyError([at(place, said)]) from exc
    return parsed


def _wrong(parsed: dict[str, Any], schema: Schema) -> Iterator[Wrong]:
    found = tables(parsed)
    yield from found.wrong
    yield from sense.thresholds(found.top)
    yield from sense.shadow(found.top)
    yield from sense.canary(found.top, schema.definition)
    yield from sense.rules(found.rules, schema)
    yield from sense.lists(found.lists, schema.definition)
