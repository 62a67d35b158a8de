"""Reads values of many profiles at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.profiles.groups import Bits, Integers, Totals
from models.profiles.packing import Packed
from models.profiles.values import Value
from models.profiles.windows import DAY, Window
from models.records import MAX_AMOUNT

Floats = NDArray[np.float64]

_BITS: Final = 64
_ESTIMATES: Final = np.array(
    [float(round(-_BITS * math.log((_BITS - ones) / _BITS))) for ones in range(_BITS)] + [266.0]
)
"""How many different values have set so many bits: linear counting (Whang, Vander-Zanden, Taylor:
"A linear-time probabilistic counting algorithm", 1990). All 64 say that they are 266 or more."""


class Reading:
    """The values of transactions of one side, by the profiles before them."""

    def __init__(self, packed: Packed, places: Integers, seconds: Integers, ahead: Totals) -> None:
        """`places` has the profile of each transaction, and `ahead` what is in flight before it.

        All `seconds` are in one of the narrowest buckets, so that all windows begin together.
        """
        self._packed = packed
        self._places = places
        self._seconds = seconds
        self._second = int(seconds[0])
        self._ahead = ahead
        self._edges: dict[tuple[int, int], Integers] = {}
        self._totals: dict[tuple[str, Window], Integers] = {}

    def value(self, value: Value, marks: Sequence[str], unit: float) -> Floats:
        """Return a value for each transaction, NaN where it is unknown."""
        if value.window is None:
            of = {"seconds_since_last": self._since_last, "days_since_first": self._since_first}
            return of[value.function]()
        if value.function == "distinct":
            return self._distinct(marks.index(value.of or ""), value.window)
        found: Floats
        count = self._total("count", value.window).astype(np.float64)
        if value.function == "count":
            return count
        if value.function in ("frauds", "fraud_rate"):
            found = self._total("frauds", value.window).astype(np.float64)
        else:
            found = np.clip(self._total("sum", value.window) * unit, -MAX_AMOUNT, MAX_AMOUNT)
        if value.function in ("sum", "frauds"):
            return found
        share: Floats = np.divide(found, count, out=np.full_like(count, np.nan), where=count > 0.0)
        return share

    def _total(self, column: str, window: Window) -> Integers:
        """Return the total of a column in a window, for each transaction."""
        if (column, window) not in self._totals:
            self._totals[column, window] = self._added_up(column, window)
        return self._totals[column, window]

    def _added_up(self, column: str, window: Window) -> Integers:
        entries = self._packed.entries[column]
        end = self._edge(window.delay, window.width) if window.delay else self._packed.ends - 1
        begin = self._edge(window.span, window.width)
        settled = entries[end].astype(np.int64) - entries[begin].astype(np.int64)
        found: Integers = settled[self._places]
        in_flight = {"count": self._ahead.transactions, "sum": self._ahead.amount}.get(column)
        # What is in flight is younger than any delay.
        return found if window.delay or in_flight is None else found + in_flight

    def _edge(self, ago: int, width: int) -> Integers:
        """Return, by profile, the last entry before the bucket of so many seconds ago."""
        if (ago, width) not in self._edges:
            second = self._second - ago
            self._edges[ago, width] = self._packed.before(max(1, second - second % width))
        return self._edges[ago, width]

    def _distinct(self, mark: int, window: Window) -> Floats:
        second = self._second - window.span
        settled = self._packed.bits(mark, max(1, second - second % window.width))
        bits: Bits = settled[self._places] | self._ahead.marks[mark]
        ones = np.unpackbits(bits.view(np.uint8).reshape(-1, 8), axis=1).sum(axis=1)
        found: Floats = _ESTIMATES[ones]
        return found

    def _since_last(self) -> Floats:
        settled = self._packed.last[self._places]
        last = np.maximum(settled, self._ahead.last)
        found: Floats = np.maximum(self._seconds - last, 0).astype(np.float64)
        found[last < self._oldest()] = np.nan
        return found

    def _since_first(self) -> Floats:
        packed, oldest = self._packed, self._oldest()
        first = packed.before(oldest) + 1
        has = first < packed.ends
        times = packed.times[np.minimum(first, packed.ends - 1)]
        today = self._second // DAY
        days = np.where(has, today - times // DAY, -1)[self._places]
        days = np.maximum(days, np.where(self._ahead.transactions > 0, 0, -1))
        found: Floats = np.where(days < 0, np.nan, days.astype(np.float64))
        return found

    def _oldest(self) -> int:
        """Return the first second of which profiles still say something."""
        second = self._second - self._packed.layout.levels.kept
        return max(1, second - second % DAY)
