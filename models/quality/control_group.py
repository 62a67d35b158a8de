"""How much of the fraud the model blocks, by the few of its blocks that were let through."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from models.policies.intervals import Share

_Z: Final = 1.959963984540054
"""Of a normal distribution: 95 % lie within so many standard deviations."""


class Explored(NamedTuple):
    """The explored frauds of one policy."""

    frauds: int
    """Above 0."""
    each: float
    """How many of the model's blocks each of them stands for."""


def recall(explored: Sequence[Explored], missed: int) -> Share | None:
    """Return the share of the frauds that the model would block; None without an explored fraud.

    `missed` are the frauds that nothing has kept from going through. What lists and rules block is
    left out. The ends of the interval take both numbers at the ends of theirs (95 %) that are
    farther from the estimate, so it is wide rather than narrow.
    """
    stood_for = sum(each.frauds * each.each for each in explored)
    if not stood_for:
        return None
    # Frauds that stand for many are worth less than as many that stand for few (Kish, 1965).
    squares = sum(each.frauds * each.each**2 for each in explored)
    worth = stood_for**2 / squares
    few, many = (stood_for * end / worth for end in counted(worth))
    least_missed, most_missed = counted(missed)
    return Share(
        value=stood_for / (stood_for + missed),
        low=few / (few + most_missed),
        high=many / (many + least_missed),
    )


def counted(count: float) -> tuple[float, float]:
    """Return the interval of 95 % of the mean behind a count (Byar's for Poisson's, 1976)."""
    above = count + 1
    high = above * (1 - 1 / (9 * above) + _Z / (3 * math.sqrt(above))) ** 3
    if not count:
        return 0.0, high
    low = count * (1 - 1 / (9 * count) - _Z / (3 * math.sqrt(count))) ** 3
    return max(0.0, low), high
