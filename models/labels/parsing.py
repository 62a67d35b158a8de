"""Strict parsing of labels: nothing is coerced, and everything that is wrong is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any, Final

import msgspec
from msgspec import UNSET, Struct, UnsetType

from models import characters
from models.errors import Rejected
from models.labels.records import At, By, Id, Label, Source, Value
from models.parsing import (
    UNREADABLE,
    Unread,
    json_type,
    json_type_of,
    problem_of,
    shortened,
    unread,
    unread_message,
    with_value,
)
from models.records import FieldError

_YEARS: Final = range(1970, 9_999)
"""Years in which a source can have learned something, in any time zone."""


class InvalidLabel(Rejected, ValueError):
    """An input that is not a valid label; `errors` has one entry for each error."""

    def __init__(self, errors: Iterable[FieldError]) -> None:
        self.errors = list(errors)
        super().__init__("; ".join(map(str, self.errors)))


class _Message(Struct):
    transaction_id: Id
    label: Value | bool
    source: Source
    by: By
    at: At | UnsetType = UNSET


_FIELDS: Final[Mapping[str, Any]] = {
    "transaction_id": Id,
    "label": Value | bool,
    "source": Source,
    "at": At,
    "by": By,
}
_EXPECTED: Final = {
    "label": "must be 0 or 1, where 1 means fraud",
    "source": f"must be one of {', '.join(Source)}",
}
"""What is said instead of the words of the decoder."""
_decode: Final = msgspec.json.Decoder(_Message).decode
_unread: Final = unread("Fields", _FIELDS)


def parse(raw: bytes | None, now: datetime | None = None) -> Label:
    """Parse the value of a record; raises `InvalidLabel` unless it is valid.

    `None` stands for a Kafka record without a value. A label without `at` was learned `now`, if
    that is given.
    """
    if isinstance(raw, Unread):
        raise InvalidLabel([FieldError("", unread_message(raw))])
    if not raw:
        raise InvalidLabel([FieldError("", "the message is empty")])
    try:
        return _checked(_decode(raw), now)
    except (*UNREADABLE, _Flawed) as exc:
        raise InvalidLabel(_explained_json(raw, now) or [_whole(exc)]) from exc


def from_mapping(fields: Any, now: datetime | None = None) -> Label:
    """Check decoded JSON as `parse` checks raw bytes."""
    try:
        return _checked(msgspec.convert(fields, _Message), now)
    except (msgspec.ValidationError, _Flawed) as exc:
        raise InvalidLabel(_explained_mapping(fields, now) or [_whole(exc)]) from exc


class _Flawed(Exception):
    """Fields of the right types, of which some are not allowed all the same."""


def _checked(message: _Message, now: datetime | None) -> Label:
    at = now if message.at is UNSET else message.at
    if at is None:
        raise _Flawed
    for name, value in (("transaction_id", message.transaction_id), ("at", at), ("by", message.by)):
        if _flaw(name, value):
            raise _Flawed
    return Label(
        transaction_id=message.transaction_id,
        label=1 if message.label else 0,
        source=message.source,
        at=at.astimezone(timezone.utc),
        by=message.by,
    )


def _flaw(name: str, value: Any) -> str | None:
    """Return what is wrong with a field of the right type; None if nothing is."""
    if name in ("transaction_id", "by"):
        return None if value.isprintable() else characters.problem(value)
    if name == "at" and _utc_year(value) not in _YEARS:
        return f"must be between the years {_YEARS[0]} and {_YEARS[-1]}, in UTC"
    return None


def _utc_year(at: datetime) -> int | None:
    try:
        return at.astimezone(timezone.utc).year
    except OverflowError:  # before the year 1, or after 9999
        return None


def _explained_json(raw: bytes, now: datetime | None) -> list[FieldError]:
    try:
        if (kind := json_type(raw)) != "an object":
            return [FieldError("", f"must be a JSON object, got {kind}")]
        fields = msgspec.structs.asdict(_unread(raw))
    except UNREADABLE as exc:
        return [FieldError("", f"not valid JSON: {exc}")]
    given = {name: value for name, value in fields.items() if value is not UNSET}
    return [
        *_problems(
            given,
            now,
            lambda value, kind: msgspec.json.decode(value, type=kind),
            lambda value: bytes(value).decode(errors="replace"),
        )
    ]


def _explained_mapping(fields: Any, now: datetime | None) -> list[FieldError]:
    if not isinstance(fields, dict):
        return [FieldError("", f"must be a JSON object, got {json_type_of(fields)}")]
    return [*_problems(fields, now, lambda value, kind: msgspec.convert(value, kind), repr)]


def _problems(
    given: Mapping[str, Any],
    now: datetime | None,
    read: Callable[[Any, Any], Any],
    shown: Callable[[Any], str],
) -> Iterator[FieldError]:
    for name, kind in _FIELDS.items():
        if name not in given:
            if name != "at" or now is None:
                yield FieldError(name, "is missing")
            continue
        value = given[name]
        if problem := problem_of(lambda: read(value, kind)):  # noqa: B023
            yield FieldError(name, with_value(_EXPECTED.get(name, problem), shown(value)))
        elif flaw := _flaw(name, read(value, kind)):
            yield FieldError(name, flaw)


def _whole(failure: Exception) -> FieldError:
    return FieldError("", shortened(str(failure)))
