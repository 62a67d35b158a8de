"""Splits JSON arrays of transactions, without parsing more items than one request may have."""

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

MAX_ITEMS: Final = 1_000
"""Transactions in one array."""
MAX_ITEM_BYTES: Final = 64 << 10
"""Bytes of one transaction; parsing one of this size does not block the event loop for long."""
MAX_GAP_BYTES: Final = 4 << 10
"""Bytes of consecutive white space; they are skipped in one step, which has to be short too."""
_USUAL_ITEM_BYTES: Final = 1_024
"""Bytes that nearly all transactions fit in."""
_MAX_WHOLE_BYTES: Final = 512 << 10
"""Bytes up to which one call may split the array: it blocks the event loop, but not for long."""

_decode: Final = unread(
    "Items",
    [f"item_{index}" for index in range(MAX_ITEMS)],
    array_like=True,
    forbid_unknown_fields=True,
)
_GAP: Final = re.compile(rb"[ \t\n\r]{0,%d}" % MAX_GAP_BYTES)
# Finds only where an item ends; the caller parses the item and checks it.
_decode_first: Final = json.JSONDecoder(
    parse_int=len, parse_float=len, parse_constant=len, strict=False
).raw_decode


class TooManyItems(Rejected, ValueError):
    """An array has more than `MAX_ITEMS` items; those beyond were not parsed."""


def items(raw: bytes) -> Iterator[bytes]:
    """Yield the items of a JSON array, unparsed.

    The work between two items is short, so that the caller can yield to the event loop. Raises
    `TooManyItems`, or `InvalidTransaction` if the bytes are no JSON array.
    """
    return _all_at_once(raw) if len(raw) <= _MAX_WHOLE_BYTES else _one_by_one(raw)


def _all_at_once(raw: bytes) -> Iterator[bytes]:
    try:
        found = msgspec.structs.astuple(_decode(raw))
    except msgspec.ValidationError as exc:
        if raw.lstrip().startswith(b"["):
            raise TooManyItems from exc
        raise InvalidTransaction([FieldError("", "must be a JSON array")]) from exc
    except UNREADABLE as exc:
        raise InvalidTransaction([FieldError("", f"not valid JSON: {exc}")]) from exc
    return (bytes(item) for item in found if item is not msgspec.UNSET)


def _one_by_one(raw: bytes) -> Iterator[bytes]:
    position = _past(raw, b"[", _past(raw, b"", 0))
    if raw.startswith(b"]", position):
        _end(raw, position)
        return
    for _ in range(MAX_ITEMS):
        end = position + _length(raw, position)
        yield raw[position:end]
        position = _past(raw, b"", end)
        if raw.startswith(b"]", position):
            _end(raw, position)
            return
        position = _past(raw, b",", position)
    raise TooManyItems


def _length(raw: bytes, position: int) -> int:
    for size in (_USUAL_ITEM_BYTES, MAX_ITEM_BYTES + 1):
        # Latin-1 makes one character of each byte. Other bytes than ASCII are within strings,
        # whose content does not matter here.
        text = raw[position : position + size].decode("latin-1")
        with suppress(ValueError, RecursionError):
            length = _decode_first(text)[1]
            if length < size:  # otherwise the item may be longer
                return length
    raise _invalid()


def _past(raw: bytes, mark: bytes, position: int) -> int:
    """Return the position after `mark` and the white space that follows it."""
    if not raw.startswith(mark, position):
        raise _invalid()
    gap = _GAP.match(raw, position + len(mark))
    return gap.end() if gap else position


def _end(raw: bytes, position: int) -> None:
    if _past(raw, b"]", position) != len(raw):
        raise _invalid()


def _invalid() -> InvalidTransaction:
    problem = (
        f"not valid JSON, or an item of more than {MAX_ITEM_BYTES:,} bytes, "
        f"or more than {MAX_GAP_BYTES:,} of white space"
    )
    return InvalidTransaction([FieldError("", problem)])
