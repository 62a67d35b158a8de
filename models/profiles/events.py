"""Transactions as profiles take them in: columns of moments, amounts, keys and marks."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

from models.profiles.groups import Bits, Groups, Integers


class Keys:
    """Which profile of a side each transaction is in; immutable."""

    def __init__(self, keys: Sequence[bytes | None], marks: Sequence[Bits] = ()) -> None:
        self.keys = keys
        """None where the field has no value."""
        self.marks = marks
        """For each counted field: the bit that its value sets; 0 where it has none."""

    @cached_property
    def groups(self) -> Groups:
        """The transactions by profile; whoever reads a batch and then applies it shares them."""
        return Groups(self.keys)


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
        if places.indices(len(self)) == (0, len(self), 1):
            return self
        sides = [
            Keys(side.keys[places], [each[places] for each in side.marks]) for side in self.sides
        ]
        return Events(self.seconds[places], self.amounts[places], sides, self.flight)

    def chosen(self, places: Sequence[int]) -> Events:
        """Return those at some places."""
        sides = [
            Keys([side.keys[at] for at in places], [each[list(places)] for each in side.marks])
            for side in self.sides
        ]
        amounts = self.amounts[list(places)]
        return Events(self.seconds[list(places)], amounts, sides, self.flight)
