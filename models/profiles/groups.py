"""The transactions of a batch by the profile that they are in."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

Integers = NDArray[np.int64]
Bits = NDArray[np.uint64]
Column = TypeVar("Column", Integers, Bits)


class Totals(NamedTuple):
    """What transactions add to profiles; each column has one entry for each of these."""

    transactions: Integers
    amount: Integers
    last: Integers
    """The second of the last one."""
    marks: Sequence[Bits]


class Groups:
    """The different keys of a side, and which of them each transaction has."""

    def __init__(self, keys: Sequence[bytes | None]) -> None:
        """Transactions without a key are in no profile."""
        numbers: dict[bytes | None, int] = {}
        number = numbers.setdefault
        places = [number(key, len(numbers)) for key in keys]
        self.keys: list[bytes]
        self.places: Integers
        """Of the key of each transaction; that of one without says nothing."""
        self.lacking: list[int] = []
        """Transactions without a key."""
        if None in numbers:
            self.lacking = [at for at, key in enumerate(keys) if key is None]
            self.keys = [key for key in numbers if key is not None]
            order = {key: at for at, key in enumerate(self.keys)}
            self.places = np.array([order[key] if key else 0 for key in keys], np.int64)
        else:
            self.keys = [*numbers]  # type: ignore[list-item]
            self.places = np.array(places, np.int64)

    @cached_property
    def order(self) -> Integers:
        """The transactions that have a key: those of a profile together, each after the others."""
        if not self.lacking:
            return np.argsort(self.places, kind="stable")
        has = np.setdiff1d(np.arange(len(self.places)), self.lacking)
        return has[np.argsort(self.places[has], kind="stable")]

    @cached_property
    def starts(self) -> Integers:
        """Where the transactions of each profile begin in `order`."""
        return np.flatnonzero(np.diff(self.places[self.order], prepend=-1))

    @cached_property
    def counts(self) -> Integers:
        """How many transactions each profile has."""
        return np.diff(self.starts, append=len(self.order))

    def totals(self, seconds: Integers, amounts: Integers, marks: Sequence[Bits]) -> Totals:
        """Return what the transactions add, which have these columns."""

        def total(reduce: Any, column: Any) -> Any:
            return reduce.reduceat(column[self.order], self.starts)

        bits = [total(np.bitwise_or, each) for each in marks]
        return Totals(self.counts, total(np.add, amounts), total(np.maximum, seconds), bits)

    def before(self, seconds: Integers, amounts: Integers, marks: Sequence[Bits]) -> Totals:
        """Return what those before each transaction add; the columns are in `order`."""
        number = np.arange(len(self.order)) - np.repeat(self.starts, self.counts)
        sums = np.cumsum(amounts[self.order]) - amounts[self.order]
        sums -= np.repeat(sums[self.starts], self.counts)
        last = _scanned(np.maximum, seconds[self.order], number)
        bits = [_scanned(np.bitwise_or, each[self.order], number) for each in marks]
        return Totals(number, sums, last, bits)


def _scanned(reduce: Any, column: Column, number: Integers) -> Column:
    """Return what the entries before each one of its group come to, in as few steps as can be.

    `number` counts the entries of each group from 0 on. See Hillis and Steele: "Data parallel
    algorithms", 1986.
    """
    found = np.zeros_like(column)
    found[1:] = np.where(number[1:] > 0, column[:-1], 0)
    step = 1
    while step < number.max(initial=0):
        earlier = np.where(number[step:] > step, found[:-step], 0)
        found[step:] = reduce(found[step:], earlier)
        step *= 2
    return found
