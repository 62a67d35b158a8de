"""Which ids were there before, in 8 bytes for each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

_GROWTH = 4
"""How much larger a run is than the next, at least: so there are few, and each is sorted seldom."""


class Seen:
    """A set of hashes of ids, in sorted runs, each much larger than the one after it.

    Two ids of ten million have the same hash of 64 bits once in 370,000 times.
    """

    def __init__(self) -> None:
        self._runs: list[NDArray[np.int64]] = []

    def add(self, ids: Sequence[str]) -> NDArray[np.bool_]:
        """Add ids; return whether each was there neither before nor earlier in this call."""
        hashes = np.fromiter(map(hash, ids), np.int64, len(ids))
        unique, first = np.unique(hashes, return_index=True)
        is_known = np.zeros(len(unique), np.bool_)
        for run in self._runs:
            places = np.searchsorted(run, unique)
            places[places == len(run)] = 0
            is_known |= run[places] == unique
        is_new = np.zeros(len(hashes), np.bool_)
        is_new[first[~is_known]] = True
        if len(added := unique[~is_known]):
            self._append(added)
        return is_new

    def _append(self, run: NDArray[np.int64]) -> None:
        while self._runs and len(self._runs[-1]) < _GROWTH * len(run):
            run = np.concatenate((self._runs.pop(), run))
            run.sort(kind="stable")  # a radix or merge sort, quick for two sorted halves
        self._runs.append(run)
