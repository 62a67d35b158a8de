"""What training learns of its rows, by which those to come are watched; see `models.watch`."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.drift import stability_index
from models.schema.features import Matrix
from models.training.columns import Floats
from models.watch.expected import Bins, Learned

BINS: Final = 8
"""Bins of a feature, at most; values of a feature that has no more of them get one each."""
PARTS: Final = 20
"""Parts of the training that are compared with all of it, at most."""
LEAST_PART: Final = 500
"""Rows of a part, at least: few rows differ by chance."""
_DIGITS: Final = 6


def watchable(matrix: Matrix, weight: Floats, scores: Floats, names: tuple[str, ...]) -> Learned:
    """Return what is to be watched of these rows, in order of time, and their scores.

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
    counts: Floats = np.bincount(place, weight, len(edges) + 2).astype(np.float64)
    shares = np.round(counts / weight.sum(), _DIGITS).tolist()
    return Bins(edges.tolist(), shares, round(_wandering(place, weight, counts), _DIGITS))


def _wandering(place: NDArray[np.int64], weight: Floats, counts: Floats) -> float:
    """Return the largest PSI between a part of the rows and all of them; 0 for few rows."""
    parts, bins = min(PARTS, len(place) // LEAST_PART), len(counts)
    if not parts:
        return 0.0
    part = np.arange(len(place)) * parts // len(place)
    each = np.bincount(part * bins + place, weight, parts * bins).reshape(parts, bins)
    return max(stability_index(counts.tolist(), one) for one in each.tolist())


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
