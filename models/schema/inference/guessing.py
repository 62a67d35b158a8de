"""Guesses what a field is, by the values seen and by its name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from models.characters import allowed
from models.parsing import UNREADABLE
from models.records import MAX_TEXT_CHARACTERS
from models.schema.coercion import FLAGS, PAIRS, coerced, loose_hint
from models.schema.definition import Field
from models.schema.fields import hint, is_text
from models.schema.inference.names import (
    is_identifier,
    is_money,
    is_party,
    named,
    suits,
    tells_label,
)

MAX_VALUES: Final = 20
"""Values that a category has at most; each is seen twice on average at least."""
MAX_LENGTH: Final = 10_000
_SECONDS: Final = (946_684_800, 4_102_444_800)
"""From the year 2000 to 2100, where a number is likely a time."""
_PAIRS: Final = [{*pair} for pair in PAIRS]


def fits(field: Field, values: Sequence[Any]) -> bool:
    """Whether a message with any of these values is valid as far as this field goes."""
    kind = loose_hint(field) if field.coerce else hint(field)
    decode, convert = msgspec.json.Decoder(kind).decode, coerced(field)
    for value in _distinct(values):
        try:
            made = decode(msgspec.json.encode(value))
            made = convert(made) if field.coerce else made
        except (*UNREADABLE, msgspec.ValidationError, ValueError, OverflowError):
            return False
        if is_text(field) and not allowed(made):
            return False
    return True


def guess(names: Sequence[str], values: Sequence[Any]) -> Field | None:
    """Return the first kind of field that all values fit; None if they fit none.

    `names` are the keys to the value; `values` has at least one, and no null.
    """
    for candidate in _candidates(names, values):
        if fits(candidate, values):
            return candidate
    return None


def texts(values: Sequence[Any]) -> Field | None:
    """Return a field of type text that all values fit; None if there is none."""
    return next((each for each in _texts(values) if fits(each, values)), None)


def common(values: Sequence[Any]) -> list[Any]:
    """Return the different values, the most frequent first."""
    return [value for value, _ in Counter(values).most_common()]


def categories(values: Sequence[Any]) -> list[str]:
    """Return the same of a category, whose values may be written as whole numbers."""
    return common([*map(str, values)])


def _candidates(names: Sequence[str], values: Sequence[Any]) -> Iterator[Field]:
    yield Field(type="flag")
    if tells_label(names):
        yield Field(type="flag", form="0/1")
        yield Field(type="flag", coerce=True)
    if all(isinstance(each, str) for each in values):
        yield from _written(names, values)
    else:
        yield from _plain(names, values)
    yield from _texts(values)


def _written(names: Sequence[str], values: Sequence[Any]) -> Iterator[Field]:
    """Kinds of fields whose values are written as text."""
    yield from (Field(type="time", format="iso8601", coerce=each) for each in (False, True))
    written = {each.lower() for each in values}
    if written in _PAIRS or (named(names).startswith("is_") and written <= {*FLAGS}):
        yield Field(type="flag", coerce=True)
    if is_money(names):
        yield Field(type="amount", coerce=True)
    if is_money(names) or (all("." in each for each in values) and not is_identifier(names)):
        yield Field(type="number", coerce=True)
    if not is_party(names) and _is_category(values):
        yield Field(type="category")


def _plain(names: Sequence[str], values: Sequence[Any]) -> Iterator[Field]:
    """Kinds of fields that some values are numbers of."""
    if len({*values}) == 2 or named(names).startswith("is_"):
        yield Field(type="flag", form="0/1")
    if suits("time", names):
        yield from _epochs(values)
    if is_identifier(names) and all(isinstance(each, int) for each in values):
        if not is_party(names) and _is_category(values):
            yield Field(type="category", coerce=True)
    else:
        mixed = is_money(names) and any(isinstance(each, str) for each in values)
        if is_money(names):
            yield Field(type="amount", coerce=mixed)
        yield Field(type="number", coerce=mixed)


def _texts(values: Sequence[Any]) -> Iterator[Field]:
    mixed = any(not isinstance(each, str) for each in values)
    longest = max(len(str(each)) for each in values)
    length = None if longest <= MAX_TEXT_CHARACTERS else min(2 * longest, MAX_LENGTH)
    yield Field(type="text", coerce=mixed, max_length=length)


def _epochs(values: Sequence[Any]) -> Iterator[Field]:
    least, most = _SECONDS
    numbers = [each for each in values if isinstance(each, int | float)]
    if all(least <= each <= most for each in numbers):
        yield Field(type="time", format="epoch")
    if all(least <= each / 1e3 <= most for each in numbers):
        yield Field(type="time", format="epoch_ms")


def _is_category(values: Sequence[Any]) -> bool:
    return len({*values}) <= min(MAX_VALUES, len(values) / 2)


def _distinct(values: Sequence[Any]) -> list[Any]:
    """The different values; of those that are equal but of other types, each."""
    known: dict[tuple[type, Any], Any] = {}
    for each in values:
        known.setdefault((type(each), each), each)
    return [*known.values()]
