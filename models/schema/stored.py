"""Transactions of decisions that were made under another schema than the one that serves.

A schema may change while its decisions are in the log, and the promise of one decision for each id
holds across the change. So a decision is read whatever fields its transaction has.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, cast

import msgspec

from models.characters import allowed_to_others
from models.records import MAX_TEXT_CHARACTERS, Transaction
from models.schema.definition import ID

_SCALARS: Final = (str, int, float, bool, type(None))
_TYPES: Final = 100
"""Sets of fields whose type is kept; a change of schema makes one."""


class OtherTransaction(Transaction, frozen=True, kw_only=True, gc=False):
    """A transaction with other fields than those of the schema that serves."""

    def __getattr__(self, name: str) -> Any:
        """Return None for any field that it does not have: its value is unknown."""
        if name.startswith("_"):
            raise AttributeError(name)
        return None


def other_transaction(fields: Mapping[str, Any]) -> OtherTransaction:
    """Return a transaction with these fields; raises `msgspec.ValidationError` unless one has them.

    Every schema's transactions are objects without objects in them, whose texts hold only the
    characters that are allowed.
    """
    id_ = fields.get(ID)
    if not isinstance(id_, str) or not 1 <= len(id_) <= MAX_TEXT_CHARACTERS:
        raise msgspec.ValidationError(f"the transaction has no {ID}")
    for name, value in fields.items():
        if not name.isidentifier() or name.startswith("_") or not isinstance(value, _SCALARS):
            raise msgspec.ValidationError(f"{name!r:.80} is no field of a transaction")
        if isinstance(value, str) and not allowed_to_others(value):
            raise msgspec.ValidationError(f"field {name} holds characters that are refused")
    rest = {name: value for name, value in fields.items() if name != ID}
    return _type(tuple(rest))(transaction_id=id_, **rest)


def is_same(known: Transaction, given: Transaction) -> bool:
    """Whether a transaction is the known one.

    Of one of another schema, the fields whose values are known on both sides decide: which of them
    a message had, and how it was read, is not known any more.
    """
    if not isinstance(known, OtherTransaction):
        return known == given
    now = msgspec.to_builtins(given)
    before = {name: getattr(known, name) for name in known.__struct_fields__ if name in now}
    return all(_alike(value, now[name]) for name, value in before.items())


def _alike(before: Any, now: Any) -> bool:
    return before is None or now is None or before == now or str(before) == str(now)


@lru_cache(_TYPES)
def _type(names: tuple[str, ...]) -> type[OtherTransaction]:
    made: Any = msgspec.defstruct(
        "OtherTransaction",
        [(name, Any) for name in names],
        bases=(OtherTransaction,),
        module=__name__,
        frozen=True,
        kw_only=True,
        gc=False,
    )
    return cast("type[OtherTransaction]", made)
