"""The checks of one day: what was counted of a model's rows against what is expected of them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from models.drift import EDGES, stability_index
from models.watch.bounds import LIMIT, of_count, of_histogram
from models.watch.cells import MILLION, Cell
from models.watch.documents import HighScores, Kind
from models.watch.expected import Expected

LEAST_PSI: Final = 0.2
"""A PSI that is no alarm by itself, however many rows there are: days differ. Of the whole days in
PaySim's first five, and of days of the generator, it stays below 0.01."""
STABLE: Final = 0.1
"""A PSI below which nothing has changed."""
WANDERED: Final = 1.5
"""How much farther a feature may go than it went within its training."""
ALIKE: Final = 2.0
"""Rows of one hour resemble each other: so many count as one in the surprise of a histogram."""
DAILY: Final = 0.2
"""Standard deviation of the share of high scores from day to day, as a share of its mean, beside
that of Poisson's distribution: nearly twice the 0.11 of thirty days of the generator."""
CERTAIN: Final = 0.1
"""The same of high scores by the sum of scores, which is 0.02 on days of the generator."""
HIGH: Final = (0.5, 0.8)
"""Edges of high scores."""


class Finding(NamedTuple):
    """What a check has found."""

    kind: Kind
    feature: str
    expected: float
    observed: float
    says: str


class Drifted(NamedTuple):
    """A histogram against that of the training data."""

    psi: float
    surprise: float
    """0 where scores or features are stable anyway."""
    usual: float = LEAST_PSI
    """A PSI below which it is no alarm."""

    @property
    def is_chance(self) -> bool:
        """Whether so many rows differ as much without a shift."""
        return self.surprise <= LIMIT

    @property
    def is_alarm(self) -> bool:
        """Whether it is a shift that matters."""
        return self.psi >= self.usual and not self.is_chance


def found(cell: Cell, expected: Expected) -> Iterator[Finding]:
    """Yield what is wrong with a day; at most one of each kind and feature."""
    for name, drifted in features(cell, expected).items():
        if drifted.is_alarm:
            says = (
                f"{name} has other values than in training: PSI {drifted.psi:.2f} over "
                f"{cell.rows:,} transactions, where up to {drifted.usual:.2f} is usual"
            )
            yield Finding("feature", name, drifted.usual, drifted.psi, says)
    drifted = scores(cell, expected)
    if drifted.is_alarm:
        says = (
            f"scores are distributed otherwise than in training: PSI {drifted.psi:.2f} over "
            f"{cell.rows:,} transactions, where up to {drifted.usual:.2f} is usual"
        )
        yield Finding("scores", "", drifted.usual, drifted.psi, says)
    yield from _high(cell, expected)


def features(cell: Cell, expected: Expected) -> dict[str, Drifted]:
    """Return how far each feature has drifted; nothing if they were counted in other bins."""
    if not cell.rows or not expected.features or cell.bins != expected.bins:
        return {}
    if [*map(len, cell.features)] != [len(each.shares) for each in expected.features.values()]:
        return {}  # a stranger's record
    return {
        name: _drifted(counts, bins.shares, expected)._replace(
            usual=max(LEAST_PSI, WANDERED * bins.wandering)
        )
        for counts, (name, bins) in zip(cell.features, expected.features.items(), strict=True)
    }


def scores(cell: Cell, expected: Expected) -> Drifted:
    """Return how far the scores have drifted."""
    return _drifted(cell.scores, expected.scores, expected)


def high(cell: Cell, expected: Expected) -> list[HighScores]:
    """Return how many scores are high, and how many are expected to be."""
    return [
        HighScores(
            edge=edge,
            observed=sum(cell.scores[EDGES.index(edge) + 1 :]),
            by_training=cell.rows * expected.above(edge),
            by_scores=cell.score / MILLION * expected.above(edge) / expected.score
            if expected.score
            else None,
        )
        for edge in HIGH
    ]


def _drifted(counts: list[int], shares: list[float], expected: Expected) -> Drifted:
    rows = sum(counts)
    if not rows:
        return Drifted(0.0, 0.0)
    psi = stability_index(shares, counts)
    if psi < STABLE:
        return Drifted(psi, 0.0)
    independent = 1.0 / (ALIKE / rows + 1.0 / expected.rows)
    return Drifted(psi, of_histogram(counts, shares, independent))


def _high(cell: Cell, expected: Expected) -> Iterator[Finding]:
    each = high(cell, expected)
    one, surprise = _worst([(one, one.by_training) for one in each], DAILY, expected)
    if surprise > LIMIT:
        says = (
            f"{one.observed:,} of {cell.rows:,} transactions have a score from {one.edge} on, and "
            f"{_told(one.by_training)} were to be expected"
        )
        yield Finding("high_scores", "", one.by_training, one.observed, says)
    fewer = [(one, one.by_scores) for one in each if one.observed < (one.by_scores or 0.0)]
    if not fewer:
        return
    one, surprise = _worst(fewer, CERTAIN, expected)
    if surprise > LIMIT:
        says = (
            f"scores add up to {cell.score / MILLION:,.0f} frauds, by which "
            f"{_told(one.by_scores or 0.0)} transactions were to have a score from {one.edge} on, "
            f"and {one.observed:,} have"
        )
        yield Finding("certainty", "", one.by_scores or 0.0, one.observed, says)


def _told(number: float) -> str:
    return f"{number:,.0f}" if number >= 10.0 else f"{number:.2g}"


def _worst(
    counts: Sequence[tuple[HighScores, float | None]], spread: float, expected: Expected
) -> tuple[HighScores, float]:
    """Return the count that is farthest off, and its surprise; each comes with its expectation."""

    def surprise(one: HighScores, number: float | None) -> float:
        # The training data had a limited number of them, too.
        learned = max(1.0, expected.rows * expected.above(one.edge))
        return of_count(one.observed, number or 0.0, math.hypot(spread, learned**-0.5))

    found = [(one, surprise(one, number)) for one, number in counts]
    return max(found, key=itemgetter(1))
