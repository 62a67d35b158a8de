"""What a schema remembers of accounts: how transactions are folded, and which values are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final, NamedTuple, cast
from zlib import crc32

import numpy as np

from models.profiles.events import Events, Keys
from models.profiles.groups import Bits, Integers, Totals
from models.profiles.packing import Packed
from models.profiles.profile import Layout
from models.profiles.reading import Floats, Reading
from models.profiles.values import AMOUNTS, FRAUDS, Value
from models.profiles.windows import levels

LAYOUT: Final = 1
"""Version of how profiles are folded; another one makes them anew."""
MAX_AMOUNT: Final = 1 << 48
"""Smallest units of one amount that are counted, at most: far more than any payment."""
_MIXING: Final = 0x9E3779B1
"""Knuth's multiplier for hashes of 32 bits, of which the first ones are taken ("The Art of Computer
Programming", volume 3, 6.4)."""


class Side(NamedTuple):
    """A field by whose values there are profiles."""

    field: str
    layout: Layout
    values: Mapping[str, Value]
    marks: tuple[str, ...]
    """The fields whose different values are counted."""


class Remembering:
    """All that follows from the values that a schema declares; immutable."""

    def __init__(self, values: Mapping[str, Value], amount: str | None, unit: float) -> None:
        """`values` have the names of fields for roles; `unit` is that of the field `amount`."""
        self._unit = unit
        self.sides = [_side(field, values) for field in {each.key: 0 for each in values.values()}]
        self.names = tuple(name for side in self.sides for name in side.values)
        """Names of the values, in the order of their rows: those of a side are together."""
        uses_amount = any(side.layout.sums for side in self.sides)
        self._amount = attrgetter(amount) if amount and uses_amount else None
        self._keys = [
            (bytes([1 + place]), attrgetter(side.field)) for place, side in enumerate(self.sides)
        ]
        self._marks = [[*map(attrgetter, side.marks)] for side in self.sides]

    @property
    def uses_labels(self) -> bool:
        """Whether a value is made of labels."""
        return any(side.layout.frauds for side in self.sides)

    def events(self, transactions: Sequence[Any], seconds: int | Sequence[int]) -> Events:
        """Return transactions as profiles take them in, at a second since 1970 or one for each."""
        sides = [
            Keys(_key_column(*key, transactions), [_bits(get, transactions) for get in marks])
            for key, marks in zip(self._keys, self._marks, strict=True)
        ]
        moments: Integers = np.broadcast_to(np.asarray(seconds, np.int64), len(transactions))
        return Events(moments, self._amounts(transactions), sides)

    def read(
        self, side: int, packed: Packed, places: Integers, seconds: Integers, ahead: Totals
    ) -> Floats:
        """Return the values of a side, of shape (values, transactions); see `Reading`."""
        reading, (_, _, values, marks) = Reading(packed, places, seconds, ahead), self.sides[side]
        return np.array([reading.value(each, marks, self._unit) for each in values.values()])

    def known(self, row: Sequence[float]) -> dict[str, float]:
        """Return the values that are known, by name, as a decision keeps them."""
        return {name: value for name, value in zip(self.names, row, strict=True) if value == value}

    def known_of(self, values: Floats) -> list[dict[str, float]]:
        """Return what is `known` of each row of a matrix, the columns of which are `names`."""
        lacking = cast("list[bool]", np.isnan(values).any(axis=1).tolist())
        return [
            self.known(row) if lacks else dict(zip(self.names, row, strict=True))
            for row, lacks in zip(values.tolist(), lacking, strict=True)
        ]

    def row(self, known: Mapping[str, float]) -> tuple[float | None, ...]:
        """Return the values in the order of `names`, None for unknown ones."""
        return tuple(map(known.get, self.names))

    def _amounts(self, transactions: Sequence[Any]) -> Integers:
        if self._amount is None:
            return np.zeros(len(transactions), np.int64)
        # Transactions of another schema may have anything there.
        numbers = (
            each if type(each) in (int, float) else None for each in map(self._amount, transactions)
        )
        given = np.array([*numbers], np.float64)  # None becomes NaN
        units = np.rint(np.nan_to_num(given, nan=0.0) / self._unit)
        return np.clip(units, -MAX_AMOUNT, MAX_AMOUNT).astype(np.int64)


def _key_column(
    prefix: bytes, get: Callable[[Any], Any], transactions: Sequence[Any]
) -> list[bytes | None]:
    # An empty text is no account: in a table it is the same as a missing one.
    given = map(get, transactions)
    return [prefix + each.encode() if each.__class__ is str and each else None for each in given]


def mark(value: str) -> int:
    """Return which of 64 bits a value sets."""
    # A checksum alone spreads values that differ in their last characters too evenly: it is linear.
    return (crc32(value.encode()) * _MIXING & 0xFFFFFFFF) >> 26


def _bits(get: Callable[[Any], Any], transactions: Sequence[Any]) -> Bits:
    given = map(get, transactions)
    return np.array(
        [1 << mark(each) if each.__class__ is str and each else 0 for each in given],
        np.uint64,
    )


def _side(field: str, values: Mapping[str, Value]) -> Side:
    own = {name: each for name, each in values.items() if each.key == field}
    marks = tuple(dict.fromkeys(each.of for each in own.values() if each.of))
    layout = Layout(
        levels([each.window for each in own.values() if each.window]),
        any(each.function in AMOUNTS for each in own.values()),
        any(each.function in FRAUDS for each in own.values()),
        len(marks),
    )
    return Side(field, layout, own, marks)
