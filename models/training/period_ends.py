"""Moments at which labelled rows can be divided so that each part has both classes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.training.columns import Flags

Steps = NDArray[np.int64]


class Ends(NamedTuple):
    """Steps with which a period may end, and how many rows there are until then."""

    step: Steps
    frauds: Steps
    others: Steps

    @classmethod
    def of(cls, step: Steps, fraud: Flags) -> Ends:
        """Return those of rows in order of time."""
        last = np.append(np.flatnonzero(np.diff(step)), len(step) - 1)
        frauds = np.cumsum(fraud)[last]
        return cls(step[last], frauds, last + 1 - frauds)

    def until(self, last: int) -> Ends:
        """Return those of the rows until one of them."""
        return Ends(*(column[: last + 1] for column in self))

    def possible(self) -> Flags:
        """Whether there are both classes until each, and both after it."""
        found: Flags = (self.frauds > 0) & (self.frauds < self.frauds[-1])
        found &= (self.others > 0) & (self.others < self.others[-1])
        return found

    def first(self) -> int | None:
        """Return the first possible end; None if there is none."""
        possible = self.possible()
        return int(np.argmax(possible)) if possible.any() else None

    def after(self, first: int) -> Flags:
        """Whether both classes are between `first` and each, and after each."""
        later: Flags = (self.frauds > self.frauds[first]) & (self.others > self.others[first])
        return later & self.possible()

    def nearest(self, share: float, allowed: Flags) -> int | None:
        """Return the allowed end with most nearly this share of the frauds; None for none."""
        if not allowed.any():
            return None
        away = np.where(allowed, np.abs(self.frauds - share * self.frauds[-1]), np.inf)
        return int(np.argmin(away))
