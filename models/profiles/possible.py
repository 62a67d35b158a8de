"""Which values a worker may have read that knew more or less of an account than the log says.

Each value is looked at by itself: decisions that the worker may have lacked, and others that it may
have had, move it so far and no further. Labels are known to all workers from the same second on,
and so they move none, unless profiles were behind.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from itertools import accumulate
from math import exp, inf, log
from operator import or_
from typing import Final, NamedTuple

from models.profiles.differences import ROUNDING
from models.profiles.neighbours import ANEW, Part, Uncertain
from models.profiles.remembering import Side
from models.profiles.totals import name_of
from models.profiles.values import Function, Value
from models.profiles.windows import DAY, Window

_BITS: Final = 64
_MOST: Final = 266.0


class Move(NamedTuple):
    """A label that changes a number of frauds."""

    due: float
    """The second from which on decisions see it."""
    second: int
    """That of the decision that it is on."""
    change: int


class Range(NamedTuple):
    """What a value may have been."""

    low: float
    high: float
    may_be_unknown: bool = False
    is_whole: bool = True

    def has(self, value: float | None) -> bool:
        """Whether it may have been this one; None if it was unknown."""
        if value is None:
            return self.may_be_unknown
        if self.is_whole and value != round(value):
            return False
        slack = ROUNDING * max(1.0, abs(value))
        return self.low - slack <= value <= self.high + slack


class Possible:
    """The values of one account that a worker may have read for a decision."""

    def __init__(
        self,
        side: Side,
        unit: float,
        computed: Mapping[str, float],
        uncertain: Uncertain,
        moves: Sequence[Move] = (),
    ) -> None:
        """`computed` is of `side`, which is one of `Totals`; unknown values are left out.

        `moves` are labels that the worker may not have known, though the log says they were due.
        """
        self._side = side
        self._unit = unit
        self._computed = computed
        self._uncertain = uncertain
        self._moves = moves

    def of(self, name: str) -> Range:
        """Return what a value may have been."""
        value = self._side.values[name]
        if value.window is None:
            since = {"seconds_since_last": self._since_last, "days_since_first": self._since_first}
            return since[value.function](self._computed.get(name))
        if value.function == "distinct":
            return self._distinct(self._side.marks.index(value.of or ""), name, value.window)
        of = {
            "count": self._count,
            "sum": self._sum,
            "mean": self._mean,
            "frauds": self._frauds,
            "fraud_rate": self._rate,
        }
        return of[value.function](value, value.window)

    def _is_in(self, window: Window, second: int) -> bool:
        now, width = self._uncertain.second, window.width
        begin, end = now - window.span, now - window.delay
        is_over = window.delay and second >= end - end % width
        return second >= begin - begin % width and not is_over

    def _lacking(self, window: Window) -> list[Part]:
        return [each for each in self._uncertain.lacking if self._is_in(window, each.second)]

    def _more(self, window: Window) -> Sequence[Part]:
        # What was in flight, or ahead of the clock, is younger than any delay.
        return () if window.delay else self._uncertain.more

    def _total(self, function: Function, value: Value) -> float:
        return self._computed[name_of(function, value)]

    def _count(self, value: Value, window: Window) -> Range:
        count = self._total("count", value)
        less = count if self._uncertain.lacks_all else len(self._lacking(window))
        return Range(count - less, count + len(self._more(window)))

    def _units(self, value: Value) -> int:
        return round(self._total("sum", value) / self._unit)

    def _sum(self, value: Value, window: Window) -> Range:
        total, more = self._units(value), self._more(window)
        less = [total] if self._uncertain.lacks_all else _amounts(self._lacking(window))
        low, high = _least_and_most([*_amounts(more), *(-each for each in less)])
        return Range((total + low) * self._unit, (total + high) * self._unit, is_whole=False)

    def _mean(self, value: Value, window: Window) -> Range:
        count = self._count(value, window)
        if self._uncertain.lacks_all:
            return self._sum(value, window)._replace(may_be_unknown=True)
        lacking = _amounts(self._lacking(window))
        free = sorted([*lacking, *_amounts(self._more(window))])
        certain = self._units(value) - sum(lacking)
        # Of so many amounts, the smallest ones have the lowest mean, and the largest the highest.
        means = [
            units * self._unit / (count.low + many)
            for ordered in (free, free[::-1])
            for many, units in enumerate(accumulate(ordered, initial=certain))
            if count.low + many
        ]
        low, high = min(means, default=inf), max(means, default=-inf)
        return Range(low, high, count.low == 0, is_whole=False)

    def _frauds(self, value: Value, window: Window) -> Range:
        if self._uncertain.lacks_all:
            return Range(0.0, self._count(value, window).high)
        frauds = self._total("frauds", value)
        changes = [each.change for each in self._moves if self._is_in(window, each.second)]
        least, most = _least_and_most(changes)
        return Range(frauds - most, frauds - least)

    def _rate(self, value: Value, window: Window) -> Range:
        count, frauds = self._count(value, window), self._frauds(value, window)
        if not count.high:
            return Range(inf, -inf, may_be_unknown=True)
        low, high = frauds.low / count.high, frauds.high / max(1.0, count.low)
        return Range(low, high, count.low == 0, is_whole=False)

    def _distinct(self, mark: int, name: str, window: Window) -> Range:
        ones = _ones(self._computed[name])
        lacking, more = _bits(self._lacking(window), mark), _bits(self._more(window), mark)
        least = 0 if self._uncertain.lacks_all else max(0, ones - lacking)
        return Range(_estimate(least), _estimate(min(_BITS, ones + more)))

    def _since_last(self, computed: float | None) -> Range:
        known = self._uncertain
        ago, is_certain = [known.second - each.second for each in known.lacking], False
        if known.more:
            ago.append(int(ANEW))  # it was in flight when it was made first, nobody knows when
        if known.lacks_all:
            ago = [known.second - self._oldest]
        elif known.last >= self._oldest:
            ago, is_certain = [max(0, known.second - known.last)], True
        low = 0.0 if known.more else inf if computed is None else computed
        return Range(low, max(ago, default=-inf), not is_certain)

    def _since_first(self, computed: float | None) -> Range:
        known, today = self._uncertain, self._uncertain.second // DAY
        days = [today - each.second // DAY for each in known.lacking]
        later = [0, today - (known.second - int(ANEW)) // DAY] if known.more else []
        if computed is not None and known.lacks_all:
            return Range(0.0, max([computed, *later]), may_be_unknown=True)
        if computed is not None and known.last >= self._oldest:
            low = today - known.last // DAY if computed in days else computed
            return Range(min(low, computed), max([computed, *later]))
        days += later
        return Range(min(days, default=inf), max(days, default=-inf), may_be_unknown=True)

    @property
    def _oldest(self) -> int:
        """The first second of which profiles still say something."""
        second = self._uncertain.second - self._side.layout.levels.kept
        return max(1, second - second % DAY)


def _amounts(parts: Sequence[Part]) -> list[int]:
    return [each.amount for each in parts]


def _least_and_most(changes: Sequence[int]) -> tuple[int, int]:
    """Return how far some of these, or none, move a total down and up."""
    return sum(min(0, each) for each in changes), sum(max(0, each) for each in changes)


def _bits(parts: Sequence[Part], mark: int) -> int:
    """Return how many bits are set by any of these."""
    return reduce(or_, (each.marks[mark] for each in parts), 0).bit_count()


def _ones(estimate: float) -> int:
    """Return how many bits say that there are so many different values."""
    return round(_BITS * (1 - exp(-estimate / _BITS)))


def _estimate(ones: int) -> float:
    return round(-_BITS * log(1 - ones / _BITS)) if ones < _BITS else _MOST
