"""Strict parsing of transactions from JSON: nothing is coerced, nothing is guessed.

The fast path is one `msgspec` call on the raw bytes. Only an input that it refuses is parsed again,
field by field, to report every error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Final, get_type_hints

import msgspec

from models import characters
from models.errors import Rejected
from models.records import MAX_TEXT_CHARACTERS, FieldError, Transaction

_decode: Final = msgspec.json.Decoder(Transaction).decode
_skip: Final = msgspec.json.Decoder(msgspec.Raw).decode
_TEXTS: Final = ("transaction_id", "nameOrig", "nameDest")
_HINTS: Final[dict[str, Any]] = get_type_hints(Transaction, include_extras=True)
_DECODE_FIELD: Final = {name: msgspec.json.Decoder(each).decode for name, each in _HINTS.items()}
UNREADABLE: Final = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""Exceptions of decoding; a RecursionError comes from JSON that nests a thousand levels deep."""
_OPTIONAL: Final = frozenset(
    field.name for field in msgspec.structs.fields(Transaction) if not field.required
)
_KINDS: Final = {
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


_decode_fields: Final = unread("Fields", _HINTS)


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


def parse(raw: bytes | None) -> Transaction:
    """Parse the value of a record; raises `InvalidTransaction` unless it is a valid transaction.

    `None` stands for a Kafka record without a value.
    """
    if isinstance(raw, Unread):
        raise InvalidTransaction([FieldError("", _unread(raw))])
    if not raw:
        raise InvalidTransaction([FieldError("", "the message is empty")])
    try:
        transaction = _decode(raw)
    except UNREADABLE as exc:
        raise InvalidTransaction(_explain(raw, exc)) from exc
    return checked(transaction)


def from_mapping(fields: Any) -> Transaction:
    """Check already decoded JSON (or a row of a file) as `parse` checks raw bytes."""
    try:
        transaction = msgspec.convert(fields, Transaction)
    except msgspec.ValidationError as exc:
        raise InvalidTransaction(_explain_fields(fields, exc)) from exc
    return checked(transaction)


def valid_id(text: str) -> bool:
    """Whether the text is valid as a transaction id."""
    return 0 < len(text) <= MAX_TEXT_CHARACTERS and characters.allowed(text)


def checked(transaction: Transaction) -> Transaction:
    """Check the characters of a decoded transaction; raises `InvalidTransaction`."""
    # The types of msgspec cannot forbid single characters.
    if characters.allowed(
        f"{transaction.transaction_id}{transaction.nameOrig}{transaction.nameDest}"
    ):
        return transaction
    problems = {name: characters.problem(getattr(transaction, name)) for name in _TEXTS}
    raise InvalidTransaction(FieldError(name, each) for name, each in problems.items() if each)


def _unread(message: Unread) -> str:
    if isinstance(message, Damaged):
        return "the message cannot be read: it is damaged in the broker's log"
    if message.size is None:
        return "the message cannot be unpacked: it is damaged, or its batch is too large"
    return f"the message has {message.size:,} bytes, too many to be unpacked"


def _explain(raw: bytes, failure: Exception) -> list[FieldError]:
    try:
        begins = bytes(_skip(raw)).lstrip()[:1]
        if begins != b"{":
            kind = _KINDS.get(begins, "a number")
            return [FieldError("", f"must be a JSON object, got {kind}")]
        fields = _decode_fields(raw)
    except UNREADABLE as exc:
        return [FieldError("", f"not valid JSON: {exc}")]
    given = {name: getattr(fields, name) for name in _HINTS}
    given = {name: each for name, each in given.items() if each is not msgspec.UNSET}
    problems = [
        error
        for name, decode in _DECODE_FIELD.items()
        for error in _explain_field(name, given, decode)
    ]
    return problems or [FieldError("", _shortened(str(failure)))]


def _explain_fields(fields: Any, failure: Exception) -> list[FieldError]:
    if not isinstance(fields, dict):
        return [FieldError("", f"must be a JSON object, got {_json_type(fields)}")]
    problems = [
        error
        for name, hint in _HINTS.items()
        for error in _explain_field(name, fields, partial(msgspec.convert, type=hint))
    ]
    return problems or [FieldError("", _shortened(str(failure)))]


def _explain_field(
    name: str, fields: Mapping[str, Any], check: Callable[[Any], object]
) -> list[FieldError]:
    if name not in fields:
        return [] if name in _OPTIONAL else [FieldError(name, "is missing")]
    problem = _problem(lambda: check(fields[name]))
    return [FieldError(name, problem)] if problem else []


def _problem(check: Callable[[], object]) -> str | None:
    try:
        check()
    except msgspec.ValidationError as exc:
        text = str(exc)
        return _shortened(text[0].lower() + text[1:])
    except UNREADABLE as exc:
        return f"not valid JSON: {exc}"
    return None


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_PROBLEM_CHARACTERS else f"{text[:MAX_PROBLEM_CHARACTERS]}…"


def _json_type(value: Any) -> str:
    names = {list: "an array", str: "a string", bool: "a boolean", type(None): "null"}
    return names.get(type(value), "a number")
