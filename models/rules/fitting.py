"""Transactions of other schemas, as rules see them.

A decision of the log may have been made under another schema. A field may be unknown to it, or have
had another type; rules are checked against the types of one schema.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from models.rules.scope import Kind

_Moment: Final = Annotated[datetime, Meta(tz=True)]


def fitting(kinds: Mapping[str, Kind]) -> Callable[[Any], Any]:
    """Return a function from any transaction to one whose fields have these types, or are None."""
    fits = [(name, _FITTED[kind]) for name, kind in kinds.items()]

    def fitted(transaction: Any) -> Any:
        made = SimpleNamespace()
        for name, fit in fits:
            setattr(made, name, fit(getattr(transaction, name, None)))
        return made

    return fitted


def _number(value: Any) -> Any:
    return value if type(value) in (int, float) and value == value else None


def _text(value: Any) -> Any:
    return value if type(value) is str else None


def _flag(value: Any) -> Any:
    return value if type(value) in (bool, int) and value in (0, 1) else None


def _moment(value: Any) -> Any:
    try:
        # JSON that no schema has decoded has times as texts.
        return msgspec.convert(value, _Moment)
    except msgspec.ValidationError:
        return None


_FITTED: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    "number": _number,
    "text": _text,
    "flag": _flag,
    "time": _moment,
}
