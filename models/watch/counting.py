"""Counts rows into a cell, all features at once."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from models.drift import EDGES
from models.schema.features import Matrix
from models.watch.cells import MILLION, Cell
from models.watch.expected import Expected

Floats = NDArray[np.float64]
BLOCK: Final = 4_096
"""Rows that are compared at once: their comparisons fit the processor's cache."""
_COUNTS: Final = np.int16
"""Small numbers are summed up several at once; a block has fewer rows than they can count."""
_SCORE_EDGES: Final = np.array(EDGES)[:, None]


class Counter:
    """Counts rows by the bins of one model; immutable."""

    def __init__(self, expected: Expected | None) -> None:
        """Without bins, as those of an old card, only scores are counted."""
        self._names = list(expected.features) if expected else []
        bins = list(expected.features.values()) if expected else []
        self._bins = expected.bins if expected else ""
        self._sizes = [len(each.shares) for each in bins]
        # The first edge is below all values but the missing ones, which compare with nothing.
        self._edges = np.full((len(bins), max(self._sizes, default=1) - 1), np.inf, np.float32)
        for row, each in zip(self._edges, bins, strict=True):
            row[: len(each.edges) + 1] = [-np.inf, *each.edges]

    def count(self, matrix: Matrix, scores: Floats, *, flags: int = 0, blocks: int = 0) -> Cell:
        """Return the cell of rows: their features as the model sees them, and their scores."""
        has_bins = matrix.shape[1:] == (len(self._names),) and bool(self._names)
        return Cell(
            rows=len(scores),
            score=int(np.rint(scores * MILLION).sum()),
            flags=flags,
            blocks=blocks,
            scores=_between(len(scores), _sum(scores[None, :], _SCORE_EDGES)[None, :])[0],
            bins=self._bins if has_bins else "",
            features=self._features(matrix) if has_bins else [],
        )

    def _features(self, matrix: Matrix) -> list[list[int]]:
        counts = _sum(np.ascontiguousarray(matrix.T)[:, None, :], self._edges[:, :, None])
        found = _between(len(matrix), counts)
        return [each[:size] for each, size in zip(found, self._sizes, strict=True)]


def _sum(values: NDArray[np.floating], edges: NDArray[np.floating]) -> NDArray[np.int64]:
    """Return how many values are from each edge on; they are along the last axis."""
    counts = np.zeros(np.broadcast_shapes(values.shape[:-1], edges.shape[:-1]), np.int64)
    for at in range(0, values.shape[-1], BLOCK):
        counts += _from(values[..., at : at + BLOCK], edges)
    return counts


def _from(values: NDArray[np.floating], edges: NDArray[np.floating]) -> NDArray[np.int16]:
    """Return how many values are from each edge on."""
    found: NDArray[np.int16] = (values >= edges).view(np.int8).sum(-1, dtype=_COUNTS)
    return found


def _between(rows: int, counts: NDArray[np.int64]) -> list[list[int]]:
    """Return how many of `rows` are below the first edge, between edges, and from the last on."""
    between: list[list[int]] = (-np.diff(counts, prepend=rows, append=0)).tolist()
    return between
