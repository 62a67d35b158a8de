"""Arrays of transactions, taken apart without a look at what comes after the last that may be."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Final

import msgspec

from models.errors import Rejected
from models.parsing import UNREADABLE, InvalidTransaction, unread
from models.records import FieldError

MOST_AT_ONCE: Final = 1_000
"""Transactions in one array."""
LARGEST: Final = 64 << 10
"""Bytes of one of them; what is read of it takes a millisecond then."""
WIDEST: Final = 4 << 10
"""Bytes of white space in a row; as with items, others have to have their turn in between."""
_MOSTLY: Final = 1_024
"""Bytes that nearly all of them are within."""
_AT_ONCE: Final = 512 << 10
"""Bytes up to which one call, which nothing can interrupt, takes a few milliseconds."""

_decode: Final = unread(
    "Items",
    [f"item_{number}" for number in range(MOST_AT_ONCE)],
    array_like=True,
    forbid_unknown_fields=True,
)
_GAP: Final = re.compile(rb"[ \t\n\r]{0,%d}" % WIDEST)
# Only where an item ends is asked for: whether it is valid tells whoever parses it.
_decode_first: Final = json.JSONDecoder(
    parse_int=len, parse_float=len, parse_constant=len, strict=False
).raw_decode


class TooMany(Rejected, ValueError):
    """An array has more than `MOST_AT_ONCE` items; the others were not looked at."""


def items(raw: bytes) -> Iterator[bytes]:
    """Yield the items of a JSON array, each still to be parsed; the work between two is short.

    Raises `TooMany`, or `InvalidTransaction` for what is no JSON array.
    """
    return _at_once(raw) if len(raw) <= _AT_ONCE else _one_by_one(raw)


def _at_once(raw: bytes) -> Iterator[bytes]:
    try:
        found = msgspec.structs.astuple(_decode(raw))
    except msgspec.ValidationError as exc:
        if raw.lstrip().startswith(b"["):
            raise TooMany from exc
        raise InvalidTransaction([FieldError("", "must be a JSON array")]) from exc
    except UNREADABLE as exc:
        raise InvalidTransaction([FieldError("", f"not valid JSON: {exc}")]) from exc
    return (bytes(item) for item in found if item is not msgspec.UNSET)


def _one_by_one(raw: bytes) -> Iterator[bytes]:
    position = _past(raw, b"[", _past(raw, b"", 0))
    if raw.startswith(b"]", position):
        _end(raw, position)
        return
    for _ in range(MOST_AT_ONCE):
        end = position + _length(raw, position)
        yield raw[position:end]
        position = _past(raw, b"", end)
        if raw.startswith(b"]", position):
            _end(raw, position)
            return
        position = _past(raw, b",", position)
    raise TooMany


def _length(raw: bytes, position: int) -> int:
    for size in (_MOSTLY, LARGEST + 1):
        # One character a byte: what is no ASCII is within strings, and of no interest.
        text = raw[position : position + size].decode("latin-1")
        with suppress(ValueError, RecursionError):
            length = _decode_first(text)[1]
            if length < size:  # else it may go on
                return length
    raise _invalid()


def _past(raw: bytes, mark: bytes, position: int) -> int:
    """Position after the mark, and after white space."""
    if not raw.startswith(mark, position):
        raise _invalid()
    gap = _GAP.match(raw, position + len(mark))
    return gap.end() if gap else position


def _end(raw: bytes, position: int) -> None:
    if _past(raw, b"]", position) != len(raw):
        raise _invalid()


def _invalid() -> InvalidTransaction:
    problem = (
        f"not valid JSON, or an item of more than {LARGEST:,} bytes, "
        f"or more than {WIDEST:,} of white space"
    )
    return InvalidTransaction([FieldError("", problem)])
