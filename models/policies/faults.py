"""What is wrong with a policy file, and where: all that a check finds is told in one wording."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

from msgspec import Struct

from models.policies.places import Lines, Place, inside
from models.policies.structure import Path, Structure

_MAX_NAME: Final = 63
BEGINNING: Final = Place(1, 1)


class Wrong(NamedTuple):
    """Something that is wrong with a value of a file."""

    path: Path
    """Of the value; of the table, if a key of it is missing."""
    problem: str
    within: Place | None = None
    """Where in the value, if that is a text and it is known."""


class Fault(Struct, frozen=True, kw_only=True):
    """What is wrong with a policy, and where in its file; as a text, all of that in one line."""

    problem: str
    """Neither the place nor the rule is in it."""
    line: int | None = None
    """From 1; None if the fault is not in the file."""
    column: int | None = None
    """From 1, in characters."""
    rule: str | None = None
    """The id of the rule that it is about, or its number from 1; None if it is about none."""

    def __str__(self) -> str:
        where = "" if self.line is None else f"line {self.line}, column {self.column}: "
        rule = "" if self.rule is None else f"rule {self.rule}: "
        return f"{where}{rule}{self.problem}"


def at(place: Place, problem: str) -> Fault:
    """Return a fault that is about no rule."""
    return Fault(problem=problem, line=place.line, column=place.column)


def located(wrong: Iterable[Wrong], parsed: dict[str, Any], text: str) -> list[Fault]:
    """Return what is wrong with a file in the order of its lines, which end with LF.

    A value that is not found is taken to be where its table is, or else at the beginning.
    """
    structure, lines = Structure(text), Lines(text)
    placed = [(_place(each, structure, parsed, text), each) for each in wrong]
    return [
        _fault(each, lines.place(where), parsed)
        for where, each in sorted(placed, key=lambda pair: pair[0])
    ]


def _place(wrong: Wrong, structure: Structure, parsed: Any, text: str) -> int:
    key = structure.find(wrong.path)
    if wrong.within is None:
        return key.at
    value = parsed
    for part in wrong.path:
        value = value[part]
    return inside(text, key.value, value, *wrong.within)


def _fault(wrong: Wrong, place: Place, parsed: dict[str, Any]) -> Fault:
    rule, said = None, wrong.problem
    match wrong.path:
        case ("rules", int(number), *_):
            given = parsed["rules"][number]
            id_ = given.get("id") if isinstance(given, dict) else None
            rule = id_[:_MAX_NAME] if isinstance(id_, str) and id_ else str(number + 1)
        case ("lists", str(name), *_):
            said = f"list {name[:_MAX_NAME]}: {said}"
        case ("caps", _):
            said = f"caps: {said}"
    return Fault(problem=said, line=place.line, column=place.column, rule=rule)
