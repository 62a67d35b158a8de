"""Values of a policy file in words: what one is, and what it has to be."""

from __future__ import annotations

from datetime import date, time
from typing import Any, Final

from msgspec import inspect

from models.policies.definition import MODEL, NAME

_MAX_SHOWN: Final = 60
_MAX_BITS: Final = 64
A_NAME: Final = "lower-case letters, digits and _, beginning with a letter, 63 at most"
PATTERNS: Final = {
    NAME: A_NAME,
    MODEL: "letters, digits, _ and -, 128 at most",
}
"""What the patterns of the definition say."""
A_TIME: Final = "a time with an offset, such as 2027-01-31T00:00:00Z"


def shown(value: Any) -> str:
    """Return a value in short."""
    if isinstance(value, str):
        return repr(value if len(value) <= _MAX_SHOWN else f"{value[:_MAX_SHOWN]}…")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value) if value.bit_length() <= _MAX_BITS else "a very large number"
    if isinstance(value, (date, time)):
        return value.isoformat()
    if isinstance(value, float):
        return repr(value)
    return "a table" if isinstance(value, dict) else "an array"


def expected(kind: inspect.Type) -> str:
    """Return what a value of a type has to be."""
    if isinstance(kind, inspect.UnionType):
        return " or ".join(
            expected(each) for each in kind.types if not isinstance(each, inspect.NoneType)
        )
    if isinstance(kind, inspect.LiteralType):
        *others, last = map(str, kind.values)
        return f"{', '.join(others)} or {last}" if others else last
    if isinstance(kind, inspect.StrType):
        return _text(kind)
    if isinstance(kind, inspect.IntType):
        return f"a whole number{_range(kind)}"
    if isinstance(kind, inspect.FloatType):
        return f"a number{_range(kind)}"
    if isinstance(kind, inspect.DateTimeType):
        return A_TIME
    if isinstance(kind, inspect.CollectionType):
        return f"an array of {kind.max_length} at most, each {expected(kind.item_type)}"
    return "a table"


def _text(kind: inspect.StrType) -> str:
    if kind.pattern is not None:
        return f"a text of {PATTERNS.get(kind.pattern, 'other characters')}"
    if kind.max_length is None:
        return "a text"
    return f"a text of {kind.min_length or 0} to {kind.max_length} characters"


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    low = f" from {_number(kind.ge)}" if kind.ge is not None else ""
    if kind.gt is not None:
        low = f" above {_number(kind.gt)}"
    if kind.le is None:
        return low
    return (
        f"{low} to {_number(kind.le)}"
        if kind.ge is not None
        else (f"{low} and {_number(kind.le)} at most")
    )


def _number(number: float) -> str:
    return f"{int(number) if float(number).is_integer() else number:,}"
