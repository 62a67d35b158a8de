"""What of decisions in flight will be added to profiles.

A decision is in the log some milliseconds after it was made. Until then the transactions that
follow see it, and nothing of it is written: it may never get there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.profiles.events import Events, Keys
from models.profiles.groups import Integers, Totals

_Mine = tuple[int, ...]
"""Transactions in flight of one profile: how many, their amount, the second of the last one, and
bits of their marks. Bits of some that are in flight no longer may be left, until none is."""


class Flying:
    """The transactions of one side that are in flight, by profile."""

    def __init__(self) -> None:
        self._by_key: dict[bytes, _Mine] = {}

    def __contains__(self, key: bytes) -> bool:
        return key in self._by_key

    def take_off(self, events: Events, side: Keys) -> Totals:
        """Put transactions in flight; returns what was in flight before each."""
        groups, columns = side.groups, (events.seconds, events.amounts, side.marks)
        totals = groups.totals(*columns)
        ahead = groups.before(*columns)
        had = [*map(self._by_key.get, groups.keys)]
        if any(had):
            earlier = _totals(had, len(side.marks))
            ahead = _joined(_spread(earlier, groups.counts), ahead)
            totals = _joined(earlier, totals)
        self._by_key.update(zip(groups.keys, _rows(totals), strict=True))
        return _in_turn(ahead, groups.order, len(events))

    def land(self, events: Events, side: Keys) -> None:
        """Let transactions be in flight no longer."""
        flying = self._by_key
        totals = side.groups.totals(events.seconds, events.amounts, ())
        for key, (count, amount, _) in zip(side.groups.keys, _rows(totals), strict=True):
            if (mine := flying.get(key)) is None:
                continue
            if mine[0] <= count:
                del flying[key]
            else:
                flying[key] = (mine[0] - count, mine[1] - amount, *mine[2:])

    def clear(self) -> None:
        """Let nothing be in flight any more."""
        self._by_key.clear()


def _rows(totals: Totals) -> Any:
    columns: Any = [totals.transactions, totals.amount, totals.last, *totals.marks]
    return zip(*(each.tolist() for each in columns), strict=True)


def _totals(rows: Sequence[_Mine | None], marks: int) -> Totals:
    nothing = (0,) * (3 + marks)
    integers, bits = np.int64, np.uint64
    columns = zip(*(each or nothing for each in rows), strict=True)
    count, amount, last = (np.array(next(columns), integers) for _ in range(3))
    return Totals(count, amount, last, [np.array(each, bits) for each in columns])


def _joined(one: Totals, other: Totals) -> Totals:
    bits = [each | more for each, more in zip(one.marks, other.marks, strict=True)]
    count, amount = one.transactions + other.transactions, one.amount + other.amount
    return Totals(count, amount, np.maximum(one.last, other.last), bits)


def _spread(totals: Totals, counts: Integers) -> Totals:
    """Return the totals of each profile for all of its transactions."""
    count, amount, last = (np.repeat(each, counts) for each in totals[:3])
    return Totals(count, amount, last, [np.repeat(each, counts) for each in totals.marks])


def _in_turn(ahead: Totals, order: Integers, many: int) -> Totals:
    """Return the columns in the order of transactions; those without a profile have nothing."""

    def column(each: Any) -> Any:
        found = np.zeros(many, each.dtype)
        found[order] = each
        return found

    count, amount, last = map(column, ahead[:3])
    return Totals(count, amount, last, [*map(column, ahead.marks)])
