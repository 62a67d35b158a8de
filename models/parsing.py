"""What makes a message no transaction, and how that is said."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from models import characters
from models.characters import legible
from models.errors import Rejected
from models.records import MAX_TEXT_CHARACTERS, FieldError

_skip: Final = msgspec.json.Decoder(msgspec.Raw).decode
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Exceptions of decoding; a RecursionError comes from JSON that nests a thousand levels deep."""
_SHOWN: Final = 40
"""Characters of a value that are shown beside what is wrong with it."""
_KINDS: Final = {
    b"{": "an object",
    b"[": "an array",
    b'"': "a string",
    b"t": "a boolean",
    b"f": "a boolean",
    b"n": "null",
}
"""The type of a JSON value by its first byte; values with other first bytes are numbers."""
CUT_VALUE_BYTES: Final = 100_000
"""Bytes that are kept of a record that is too large to be read, or to be sent on unchanged."""
MAX_PROBLEM_CHARACTERS: Final = 300
"""Characters of an error message about a field, since the message may quote its sender."""


def unread(name: str, fields: Iterable[str], **options: Any) -> Callable[[bytes], Any]:
    """Return a decoder that finds these fields without decoding them, and skips all others.

    It makes no Python objects of skipped values, which would block the event loop if there were
    many.
    """
    absent = msgspec.field(default=msgspec.UNSET)
    return msgspec.json.Decoder(
        msgspec.defstruct(name, [(each, msgspec.Raw, absent) for each in fields], **options)
    ).decode


class InvalidTransaction(Rejected, ValueError):
    """An input that is not a valid transaction; `errors` has one entry for each error."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(map(str, self.errors)))


class Unread(bytes):
    """The beginning of a record whose value is too large to be decompressed, or cannot be."""

    size: int | None
    """Bytes of the whole value; None if not known."""

    def __new__(cls, beginning: bytes, size: int | None) -> Unread:
        """`beginning` may be empty."""
        made = super().__new__(cls, beginning)
        made.size = size
        return made


class Damaged(Unread):
    """A record that does not match its checksum: the broker's disk has changed it."""


def valid_id(text: str) -> bool:
    """Whether the text is valid as a transaction id."""
    return 0 < len(text) <= MAX_TEXT_CHARACTERS and characters.allowed(text)


def unread_message(message: Unread) -> str:
    """Return why the value of a record was not read."""
    if isinstance(message, Damaged):
        return "the message cannot be read: it is damaged in the broker's log"
    if message.size is None:
        return "the message cannot be unpacked: it is damaged, or its batch is too large"
    return f"the message has {message.size:,} bytes, too many to be unpacked"


def json_type(raw: bytes) -> str:
    """Return the type of a JSON value, with its article; raises one of `UNREADABLE`."""
    return _KINDS.get(bytes(_skip(raw)).lstrip()[:1], "a number")


def problem_of(check: Callable[[], object]) -> str | None:
    """Return what is wrong with a value, as decoding it says; None if nothing is."""
    try:
        check()
    except msgspec.ValidationError as exc:
        text = str(exc)
        return shortened(text[0].lower() + text[1:])
    except UNREADABLE as exc:
        return f"not valid JSON: {exc}"
    return None


def with_value(problem: str, shown: str) -> str:
    """Return what is wrong with the value that has it, unless it says what it got already."""
    return problem if "got " in problem else f"{problem}, got {legible(shown[:_SHOWN])}"


def shortened(text: str) -> str:
    """Return a message with at most `MAX_PROBLEM_CHARACTERS` of its sender's."""
    return text if len(text) <= MAX_PROBLEM_CHARACTERS else f"{text[:MAX_PROBLEM_CHARACTERS]}…"


def json_type_of(value: Any) -> str:
    """Return the same of decoded JSON."""
    names: dict[type, str] = {
        dict: "an object",
        list: "an array",
        str: "a string",
        bool: "a boolean",
        type(None): "null",
    }
    return names.get(type(value), "a number")
