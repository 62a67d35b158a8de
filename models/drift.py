"""Drift: compares the distribution of scores with that of the training data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

EDGES: Final = (1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 0.5, 0.8)
"""Edges between the bins of scores; most of them are low because fraud is rare."""
MIN_SHARE: Final = 1e-4
"""The least share of a bin: an empty one would make the index infinite."""


def histogram(scores: NDArray[np.float64], weight: NDArray[np.float64]) -> list[float]:
    """Return the weight of the scores in each bin: from 0, between the edges, and up to 1.

    A score on an edge is in the bin above it, as with `width_bucket` of SQL.
    """
    bins = np.digitize(scores, EDGES)
    found: list[float] = np.bincount(bins, weight, minlength=len(EDGES) + 1).tolist()
    return found


def stability_index(expected: Sequence[float], actual: Sequence[float]) -> float:
    """Return the population stability index (PSI) of two histograms: 0 if they agree.

    The usual reading: below 0.1 nothing has changed, above 0.25 much has. Raises `ValueError` for
    histograms with different bins, or without weight.
    """
    first, second = _shares(expected), _shares(actual)
    if first.shape != second.shape:
        raise ValueError(f"histograms of {len(expected)} and {len(actual)} bins")
    return float(np.sum((second - first) * np.log(second / first)))


def _shares(counts: Sequence[float]) -> NDArray[np.float64]:
    array = np.asarray(counts, dtype=np.float64)
    if not array.sum() > 0 or not (array >= 0).all():
        raise ValueError(f"{counts!r} is no histogram: counts from 0, and one above it")
    shares: NDArray[np.float64] = np.maximum(array / array.sum(), MIN_SHARE)
    return shares
