"""Drift: compares the distribution of scores with that of the training data."""

from __future__ import annotations

import math
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
    if len(first) != len(second):
        raise ValueError(f"histograms of {len(expected)} and {len(actual)} bins")
    return math.fsum((b - a) * math.log(b / a) for a, b in zip(first, second, strict=True))


def _shares(counts: Sequence[float]) -> list[float]:
    # In plain Python: for so few numbers, the calls of numpy take ten times as long.
    total = math.fsum(counts)
    if not total > 0 or not all(each >= 0 for each in counts):
        raise ValueError(f"{counts!r} is no histogram: counts from 0, and one above it")
    return [max(each / total, MIN_SHARE) for each in counts]
