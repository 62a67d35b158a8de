"""Transactions as profiles take them in: columns of moments, amounts, keys and marks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Bits = NDArray[np.uint64]


class Keys(NamedTuple):
    """Which profile of a side each transaction is in."""

    keys: Sequence[bytes | None]
    """None where the field has no value."""
    marks: Sequence[Bits] = ()
    """For each counted field: the bit that its value sets; 0 where it has none."""


class Events(NamedTuple):
    """Transactions in their order; all columns have the same length."""

    seconds: Integers
    """Since 1970."""
    amounts: Integers
    """In smallest units."""
    sides: Sequence[Keys]
    flight: int = 0
    """Number of the flight that they are in, if they are: once one has landed, there is another."""

    def __len__(self) -> int:
        return len(self.seconds)

    def taking_off(self, flight: int) -> Events:
        """Return the same, in a flight."""
        return Events(self.seconds, self.amounts, self.sides, flight)

    def at(self, places: slice) -> Events:
        """Return some that follow each other."""
        sides = [Keys(keys[places], [each[places] for each in marks]) for keys, marks in self.sides]
        return Events(self.seconds[places], self.amounts[places], sides, self.flight)

    def chosen(self, places: Sequence[int]) -> Events:
        """Return those at some places."""
        sides = [
            Keys([keys[at] for at in places], [each[list(places)] for each in marks])
            for keys, marks in self.sides
        ]
        amounts = self.amounts[list(places)]
        return Events(self.seconds[list(places)], amounts, sides, self.flight)


class Ahead(NamedTuple):
    """What is in flight before a transaction, in the profile that it is in itself."""

    transactions: Integers
    amount: Integers
    last: Integers
    """The second of the last one; 0 if there is none."""
    marks: Sequence[Bits]
