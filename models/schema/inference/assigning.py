"""Gives roles to the guessed fields of a draft."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from models.schema.definition import ID, Field, Role
from models.schema.inference import guessing
from models.schema.inference.draft import Guess
from models.schema.inference.leaves import Leaf, keys
from models.schema.inference.names import is_currency, suits
from models.schema.inference.samples import SampleError
from models.schema.paths import Step

_ROLES: Final[tuple[tuple[Role, tuple[str, ...]], ...]] = (
    ("time", ("time",)),
    ("sender", ("text",)),
    ("receiver", ("text",)),
    ("amount", ("amount", "number")),
    ("kind", ("category",)),
    ("upstream_flag", ("flag",)),
    ("label", ("flag",)),
)
"""Roles that are guessed, and the types that they may have."""


def id_of(places: Sequence[Leaf], columns: Sequence[str] | None) -> Guess:
    """Return the text that names a transaction: by its name, or the first that is always another.

    Of CSV (`columns` is its header) it may be made of the number of the row. Raises `SampleError`.
    """
    suitable: list[tuple[tuple[bool, int, int], Leaf, Field]] = []
    for leaf in places:
        score = suits("id", keys(leaf.path))
        unique = len({*leaf.values}) == len(leaf.values)
        field = guessing.texts(leaf.values)
        if leaf.optional or field is None or "" in leaf.values or not (score or unique):
            continue
        if field.max_length is not None:
            continue  # an id has no more characters than a text without it
        if score or isinstance(leaf.values[0], str):
            suitable.append(((unique, score, -len(leaf.path)), leaf, field))
    if columns is not None and ID not in columns and not any(rank[1] for rank, *_ in suitable):
        return Guess(ID, (Step(ID),), Field(type="text", role="id"), None)
    if not suitable:
        raise SampleError(
            "no text is in every message; each transaction needs an id, such as transaction_id"
        )
    _, leaf, field = max(suitable, key=lambda each: each[0])
    return Guess(ID, leaf.path, msgspec.structs.replace(field, role="id"), leaf)


def with_roles(guesses: Sequence[Guess]) -> list[Guess]:
    """Return the fields with their roles; each role goes to the field whose name suits it best."""
    found = {each.name: each for each in guesses}
    for role, types in _ROLES:
        fitting = [
            (suits(role, keys(each.path)), each)
            for each in found.values()
            if each.field.role is None and each.field.type in types
        ]
        score, best = max(fitting, key=lambda each: each[0], default=(0, None))
        if best is not None and score:
            found[best.name] = best._replace(field=_in_role(best.field, role))
    return _with_currency([*found.values()])


def _with_currency(guesses: Sequence[Guess]) -> list[Guess]:
    """Return the fields, the amount with its currency if there is only one that it can be."""
    codes = [
        each.name
        for each in guesses
        if each.leaf is not None and is_currency(keys(each.path), each.leaf.values)
    ]
    return [
        each._replace(field=msgspec.structs.replace(each.field, currency=codes[0]))
        if len(codes) == 1 and (each.field.role, each.field.type) == ("amount", "amount")
        else each
        for each in guesses
    ]


def _in_role(field: Field, role: Role) -> Field:
    if role not in ("label", "upstream_flag") or field.optional:
        return msgspec.structs.replace(field, role=role)
    default = 0 if field.form == "0/1" else False
    return msgspec.structs.replace(field, role=role, default=default)
