"""The past of one account on one side: buckets of time, whose totals run on from the first."""

from __future__ import annotations

from bisect import bisect_left
from itertools import chain
from typing import Final, NamedTuple

from models.profiles.windows import DAY, HOUR, Levels

MAX_SUM: Final = 1 << 62
"""Smallest units of all amounts in a profile, at most."""
MERGED: Final = 48
"""Buckets from which on it is worth to look for some that can be merged."""


class Layout(NamedTuple):
    """What profiles of one side keep beside counts."""

    levels: Levels
    sums: bool = False
    frauds: bool = False
    marks: int = 0
    """Fields whose different values are counted."""


class Profile:
    """The transactions of one account, in buckets.

    What is read from it is a function of the set of its transactions and frauds: the order in which
    they came changes nothing. So all workers that have read the same read the same values, however
    their reads of several partitions interleave. Narrow buckets that no window tells apart any more
    are merged now and then, which changes no value either; a profile that is `merge`d has one form.

    `models.profiles.packing` does the usual for many profiles at once; this is the whole of it.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.last = 0
        """The second of the last transaction, since 1970."""
        self.times: list[int] = []
        """The second at which each bucket begins."""
        self.counts: list[int] = []
        """Transactions up to the end of each bucket, from the first one on."""
        self.sums: list[int] = []
        """Their amounts in smallest units, alike; 0 if the layout has none."""
        self.frauds: list[int] = []
        """Those that are known to be fraud, alike."""
        self.marks: list[list[int]] = [[] for _ in range(layout.marks)]
        """For each counted field: 64 bits a bucket, of which each value sets one."""

    def add(self, second: int, count: int, amount: int, marks: tuple[int, ...] = ()) -> None:
        """Add transactions of one second, with the sum of their amounts, and their marks' bits."""
        at = self._bucket(second)
        self.counts[at:] = [each + count for each in self.counts[at:]]
        if self.layout.sums:
            self.sums[at:] = [clipped(each + amount) for each in self.sums[at:]]
        for column, bits in zip(self.marks, marks, strict=True):
            column[at] |= bits

    def add_frauds(self, second: int, change: int) -> None:
        """Add frauds, or take them back if `change` is below 0, at a transaction's second.

        The transaction itself may not have been added yet.
        """
        at = self._bucket(second)
        if self.layout.frauds:
            self.frauds[at:] = [each + change for each in self.frauds[at:]]

    def merge(self) -> None:
        """Merge what no window tells apart any more, and drop what none has."""
        if not self.times:
            return
        levels = self.layout.levels
        begins = levels.begins(self.last)
        if levels.finest < DAY:
            self._widen(begins.hours, DAY)
        if levels.finest < HOUR:
            self._widen(begins.narrow, HOUR)
        if gone := bisect_left(self.times, begins.kept):
            self._drop(gone)

    def _bucket(self, second: int) -> int:
        """Return the place of the bucket of a second, made if need be."""
        self.last = max(self.last, second)
        start = second - second % self.layout.levels.finest
        at = bisect_left(self.times, start)
        if at == len(self.times) or self.times[at] != start:
            self.times.insert(at, start)
            for column in self._running():
                column.insert(at, column[at - 1] if at else 0)
            for column in self.marks:
                column.insert(at, 0)
        return at

    def _running(self) -> list[list[int]]:
        """Return the columns whose totals run on."""
        return [self.counts, self.sums, self.frauds]

    def _widen(self, end: int, width: int) -> None:
        """Make the buckets that begin before `end` at least this wide."""
        times = self.times
        for at in range(bisect_left(times, end) - 1, -1, -1):
            start = times[at] - times[at] % width
            if at + 1 < len(times) and times[at + 1] == start:
                del times[at]
                for column in self._running():
                    del column[at]
                for column in self.marks:
                    column[at + 1] |= column[at]
                    del column[at]
            else:
                times[at] = start

    def _drop(self, gone: int) -> None:
        """Drop the first buckets, and let totals run on from the others."""
        for column in self._running():
            base = column[gone - 1]
            column[:] = [each - base for each in column[gone:]]
        for column in chain([self.times], self.marks):
            del column[:gone]


def clipped(total: int) -> int:
    """Return a sum of amounts, cut to what is kept."""
    return max(-MAX_SUM, min(total, MAX_SUM))
