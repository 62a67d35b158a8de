"""Cells of the watch: what was counted of the rows that a model has scored on a day, in UTC.

They are statistics. A worker that crashes loses those of some seconds, and what is decided again
after a crash or a rebalance counts twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Annotated, Final

from msgspec import Meta, Struct, field

from models.counts import Count
from models.drift import EDGES

MILLION: Final = 1_000_000
"""Scores are summed up in whole millionths, so that the order of sums does not matter."""
KEPT_DAYS: Final = 12
"""Days that a partition has cells for: those that were counted in last. More than are judged: a
clock that is wrong makes days of its own."""
MAX_VERSIONS: Final = 6
"""Models that a day has cells for; what further ones score is not counted."""
_FIRST: Final = date(1970, 1, 1)
_DAY_SECONDS: Final = 86_400
_BINS: Final = len(EDGES) + 1

Scores = Annotated[list[Count], Meta(min_length=_BINS, max_length=_BINS)]


class Cell(Struct, array_like=True):
    """Rows that one model has scored."""

    rows: Count = 0
    score: Count = 0
    """Sum of their scores, in millionths."""
    flags: Count = 0
    blocks: Count = 0
    scores: Scores = field(default_factory=lambda: [0] * _BINS)
    """In each bin of `models.drift.EDGES`."""
    bins: str = ""
    """The name of the bins of features; see `Expected.bins`."""
    features: list[list[Count]] = []
    """By feature, those without a value, and those in each bin; empty without bins."""

    def add(self, other: Cell) -> None:
        """Add what another cell has counted.

        If features are counted in other bins there, those of the cell with more rows stay; so they
        do if there are others than the name of the bins says, as in a record of strangers.
        """
        if self.bins == other.bins and [*map(len, self.features)] == [*map(len, other.features)]:
            self.features = [
                [a + b for a, b in zip(mine, theirs, strict=True)]
                for mine, theirs in zip(self.features, other.features, strict=True)
            ]
        elif other.rows > self.rows:
            self.bins, self.features = other.bins, [[*each] for each in other.features]
        self.rows += other.rows
        self.score += other.score
        self.flags += other.flags
        self.blocks += other.blocks
        self.scores = [a + b for a, b in zip(self.scores, other.scores, strict=True)]


Day = dict[str, Cell]
"""Cells by model version."""


class Days(Struct):
    """The cells of one partition's owner."""

    days: dict[int, Day] = {}
    """By number; the day that was counted in last comes last."""

    def add(self, number: int, version: str, cell: Cell) -> None:
        """Count a cell in."""
        day = self.days.pop(number, {})
        if len(self.days) >= KEPT_DAYS:
            del self.days[next(iter(self.days))]
        self.days[number] = day
        if version in day:
            day[version].add(cell)
        elif len(day) < MAX_VERSIONS:
            day[version] = copied(cell)


def copied(cell: Cell) -> Cell:
    """Return a cell that can be added to, and leaves the other one as it is."""
    new = Cell(bins=cell.bins, features=[[0] * len(each) for each in cell.features])
    new.add(cell)
    return new


def summed(partitions: Iterable[Mapping[int, Day]]) -> dict[int, Day]:
    """Return the cells of all partitions, by day in order of time."""
    found: dict[int, Day] = {}
    for days in partitions:
        for number, day in days.items():
            into = found.setdefault(number, {})
            for version, cell in day.items():
                if version in into:
                    into[version].add(cell)
                else:
                    into[version] = copied(cell)
    return dict(sorted(found.items()))


def day_of(moment: datetime) -> int:
    """Return the number of a moment's day in UTC, 0 for 1970-01-01."""
    return day_at(moment.timestamp())


def day_at(now: float) -> int:
    """Return the number of the day of a time in seconds since 1970."""
    return int(now // _DAY_SECONDS)


def name_of(day: int) -> str:
    """Return a day as ISO 8601 writes it; the first or the last one for those that it cannot."""
    try:
        return (_FIRST + timedelta(days=day)).isoformat()
    except OverflowError:
        return (date.max if day > 0 else date.min).isoformat()


def number_of(day: date) -> int:
    """Return the number of a day."""
    return (day - _FIRST).days
