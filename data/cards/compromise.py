"""Who is compromised on which day: fraudsters take hold of some, and lose them after some days."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]


class Compromises:
    """Terminals or customers that are compromised, day after day.

    Each day the same share of them is struck, drawn anew among all of them. Where that is not a
    whole number, the rest is carried over: a hundredth of one strikes every hundredth day. The
    first day is in the midst of it, with those who were struck before and are compromised still,
    so that it has as much fraud as the last.
    """

    def __init__(
        self, rng: np.random.Generator, population: int, share: Fraction, lasting: int
    ) -> None:
        """Draw those of the days before the first; `lasting` is in days, from the first on."""
        self._rng, self._lasting = rng, lasting
        self._daily, self._whole = population * share.numerator, share.denominator
        self._carried = self._whole // 2  # the number of all strikes is rounded, not cut off
        self._left = np.zeros(population, np.int64)
        for _ in range(lasting - 1):
            self.next_day()

    def next_day(self) -> Mask:
        """Go on to the next day; returns who is compromised on it."""
        np.maximum(self._left - 1, 0, out=self._left)
        struck, self._carried = divmod(self._carried + self._daily, self._whole)
        self._left[self._rng.choice(len(self._left), struck, replace=False)] = self._lasting
        return self._left > 0
