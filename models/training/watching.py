"""What training learns of its rows, by which those to come are watched; see `models.watch`."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.schema.features import Matrix
from models.training.columns import Floats
from models.watch.expected import Bins, Learned

BINS: Final = 8
"""Bins of a feature, at most; values of a feature that has no more of them get one each."""
_DIGITS: Final = 6


def watchable(matrix: Matrix, weight: Floats, scores: Floats, names: tuple[str, ...]) -> Learned:
    """Return what is to be watched of these rows and their scores.

    `weight` is how many transactions a row stands for.
    """
    total = float(weight.sum())
    return Learned(
        rows=total**2 / float((weight**2).sum()),
        score=float((scores * weight).sum()) / total,
        features={
            name: _bins(column, weight) for name, column in zip(names, matrix.T, strict=True)
        },
    )


def _bins(column: NDArray[np.float32], weight: Floats) -> Bins:
    known = ~np.isnan(column)
    edges = _edges(column[known], weight[known])
    place = np.searchsorted(edges, column, side="right") + 1  # NaN is put above all
    place[~known] = 0
    shares = np.bincount(place, weight, len(edges) + 2) / weight.sum()
    return Bins(edges.tolist(), np.round(shares, _DIGITS).tolist())


def _edges(values: NDArray[np.float32], weight: Floats) -> NDArray[np.float32]:
    """Return edges between the values: in the middle, since machines round differently."""
    distinct, place = np.unique(values, return_inverse=True)
    if len(distinct) > BINS:
        below = np.cumsum(np.bincount(place, weight, len(distinct)))
        quantiles = below[-1] * np.arange(1, BINS) / BINS
        above = np.searchsorted(below, quantiles, side="right")
        above = np.unique(np.minimum(above, len(distinct) - 1))
        above = above[above > 0]
    else:
        above = np.arange(1, len(distinct))
    middle = (distinct[above - 1].astype(np.float64) + distinct[above]) / 2
    return np.unique(middle.astype(np.float32))
