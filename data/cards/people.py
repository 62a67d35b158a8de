"""Customers and terminals: points in a plane, and which terminals a customer can reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SIDE: Final = 100.0
"""Length of each side of the plane."""
MEAN_AMOUNTS: Final = (5.0, 100.0)
MOST_DAILY: Final = 4.0


@dataclass(frozen=True)
class Points:
    """Places in the plane, one an entry."""

    x: Floats
    y: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, count: int) -> Points:
        """Draw places, all equally probable."""
        return cls(rng.uniform(0.0, SIDE, count), rng.uniform(0.0, SIDE, count))


@dataclass(frozen=True)
class Customers:
    """Where customers live, and their habits of paying."""

    homes: Points
    mean_amount: Floats
    """Account currency; the standard deviation is half of it."""
    daily: Floats
    """Mean number of transactions a day."""

    @classmethod
    def draw(cls, rng: np.random.Generator, count: int) -> Customers:
        """Draw customers that know nothing of each other."""
        homes = Points.draw(rng, count)
        return cls(homes, rng.uniform(*MEAN_AMOUNTS, count), rng.uniform(0.0, MOST_DAILY, count))


@dataclass(frozen=True)
class Reach:
    """The terminals within the radius of each customer, one customer's after the other's."""

    terminals: Integers
    first: Integers
    """Where a customer's terminals begin."""
    count: Integers
    """How many they are; a customer may have none."""

    @classmethod
    def of(cls, homes: Points, terminals: Points, radius: float) -> Reach:
        """Find the terminals not farther than `radius` from each home."""
        order = np.argsort(terminals.x, kind="stable")
        x, y = terminals.x[order], terminals.y[order]
        begin = np.searchsorted(x, homes.x - radius, side="left")
        end = np.searchsorted(x, homes.x + radius, side="right")
        found = [np.zeros(0, np.int64)]
        for home_x, home_y, low, high in zip(homes.x, homes.y, begin, end, strict=True):
            near = distance_squared(x[low:high], y[low:high], home_x, home_y) <= radius * radius
            found.append(order[low:high][near])
        count = np.array([len(each) for each in found], np.int64)
        return cls(np.concatenate(found), np.cumsum(count)[:-1], count[1:])

    def pick(self, rng: np.random.Generator, customers: Integers) -> Integers:
        """Draw a terminal for each of these customers, who must have one within reach."""
        drawn: Integers = self.first[customers] + rng.integers(self.count[customers])
        return self.terminals[drawn]


def distance_squared(x: Floats, y: Floats, other_x: float, other_y: float) -> Floats:
    """Return the squares of distances: they are the same on any machine."""
    east, north = x - other_x, y - other_y
    return east * east + north * north
