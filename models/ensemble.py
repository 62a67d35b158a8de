"""A boosted ensemble of shallow trees, compiled to table look-ups.

A tree of depth three makes at most seven comparisons. A row's answers to them are thus a number
below 128, and the tree is a table of 128 values. The answers of one feature depend only on which
two neighbouring thresholds of the whole ensemble its value lies between. So there is a table for
each feature, from that position to the answers of all trees, one byte for each tree. Or-ing these
bytes over the features gives the number of every tree. Evaluation by feature instead of by tree is
the idea of QuickScorer (Lucchese et al., SIGIR 2015).

A missing value, NaN, lies behind all thresholds. That position has answers of its own: each node
says whether a row without the value goes left.
"""

from __future__ import annotations

from bisect import bisect_left
from functools import cached_property

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from models.explain import shapley_tables
from models.schema.features import Matrix

DEPTH = 3
NODES = 2**DEPTH - 1
"""Comparisons of one tree, numbered breadth first: the children of i are 2i+1 and 2i+2."""
LEAVES = 2**DEPTH
ANSWERS = 2**NODES
"""Ways in which a row can answer all comparisons of a tree."""

MAX_NUMBER = 1e30
"""Larger than any trained number; sums and products of such numbers are finite, also in float32."""

Floats = NDArray[np.float64]


class Trees(Struct, frozen=True, tag="trees", omit_defaults=True):
    """The ensemble as it is stored. Trees are filled to full depth with unused nodes."""

    base: float
    """Log-odds before the first tree."""
    feature: list[list[int]]
    """Per tree and node, the column compared; -1 for an unused node, where all rows go left."""
    threshold: list[list[float]]
    """Per tree and node: a greater value goes right. Each is a float32 number."""
    leaf: list[list[float]]
    """Per tree and leaf, from left to right, the log-odds that the leaf adds."""
    cover: list[list[float]]
    """Per tree and leaf, the weight of training rows that end there."""
    missing_left: list[list[bool]] = []
    """Per tree and node, whether a missing value goes left; if empty, it goes right everywhere."""

    def check(self, columns: int) -> None:
        """Raise `ValueError` unless the shapes fit each other and `columns` features."""
        count = len(self.feature)
        widths = {"feature": NODES, "threshold": NODES, "leaf": LEAVES, "cover": LEAVES}
        if self.missing_left:
            widths["missing_left"] = NODES
        for name, width in widths.items():
            rows = getattr(self, name)
            if len(rows) != count or any(len(row) != width for row in rows):
                raise ValueError(f"{name} is not {count} x {width}")
        if count == 0:
            raise ValueError("there are no trees")
        if not all(-1 <= column < columns for row in self.feature for column in row):
            raise ValueError(f"a tree asks for a feature that is not one of the {columns}")
        for numbers in (self.base, self.threshold, self.leaf, self.cover):
            if not (np.abs(numbers) <= MAX_NUMBER).all():  # NaN fails this too
                raise ValueError(f"a number is not finite, or beyond {MAX_NUMBER:g}")
        if np.min(self.cover) < 0.0:
            raise ValueError("a cover is negative")

    def compiled(self, columns: int) -> CompiledTrees:
        """Compile the ensemble into the form that scores; raises as `check` does."""
        return CompiledTrees(self, columns)


class CompiledTrees:
    """Look-up tables of an ensemble; see the module's docstring."""

    def __init__(self, trees: Trees, columns: int) -> None:
        trees.check(columns)
        self._trees = trees
        self._columns = columns
        self._feature = np.array(trees.feature)
        self._threshold = np.array(trees.threshold, dtype=np.float32)
        self._missing_left = np.zeros(self._feature.shape, dtype=bool)
        if trees.missing_left:
            self._missing_left[:] = trees.missing_left
        self._count = len(self._feature)
        self._words = -(-self._count // 8)
        used = sorted({column for row in trees.feature for column in row if column >= 0})
        self._lookups = [(column, *self._answers_of(column)) for column in used]
        self._lists = [
            (
                column,
                thresholds.tolist(),
                [int.from_bytes(row.tobytes(), "little") for row in answers],
            )
            for column, thresholds, answers in self._lookups
        ]
        self._values = np.take_along_axis(
            np.array(trees.leaf), reached_leaves(self._feature), axis=1
        ).ravel()
        self._first = ANSWERS * np.arange(self._count, dtype=np.int32)

    def log_odds(self, matrix: Matrix) -> Floats:
        """Return raw scores, float64 of shape (n,)."""
        raw: Floats = self._values[self._positions(matrix)].sum(axis=1) + self._trees.base
        return raw

    def contributions(self, matrix: Matrix) -> Floats:
        """Return Shapley values in log-odds, (n, features).

        `expected` plus a row's values is its raw score.
        """
        values: Floats = self._shapley[0].take(self._positions(matrix), axis=0).sum(axis=1)
        return values

    def leaves(self, matrix: Matrix) -> NDArray[np.int64]:
        """Return the leaf of each tree that each row ends in, from 0, (n, trees)."""
        answers = self._positions(matrix) - self._first
        ends: NDArray[np.int64] = reached_leaves(self._feature)[0][answers]
        return ends

    @property
    def expected(self) -> float:
        """The mean raw score over the training rows."""
        return self._shapley[1]

    @cached_property
    def _shapley(self) -> tuple[Floats, float]:
        return shapley_tables(
            self._trees.feature,
            self._trees.leaf,
            self._trees.cover,
            self._columns,
            self._trees.base,
        )

    def _answers_of(self, column: int) -> tuple[NDArray[np.float32], NDArray[np.uint64]]:
        """Return the sorted thresholds of one feature, and all trees' answers between them.

        The last threshold is infinite: NaN, which numpy sorts behind it, finds the last answers.
        Trees are padded to a multiple of eight, so that eight of them are or-ed as one word.
        """
        tree, node = np.nonzero(self._feature == column)
        thresholds, place = np.unique(self._threshold[tree, node], return_inverse=True)
        answers = np.zeros((len(thresholds) + 2, 8 * self._words), dtype=np.uint8)
        left = self._missing_left[tree, node].tolist()
        for at, t, n, to in zip(place.tolist(), tree.tolist(), node.tolist(), left, strict=True):
            answers[at + 1 : -1, t] |= np.uint8(1 << n)
            answers[-1, t] |= np.uint8(0 if to else 1 << n)
        return np.append(thresholds, np.float32(np.inf)), answers.view(np.uint64)

    def _positions(self, matrix: Matrix) -> NDArray[np.int32]:
        """Return the index of each tree's value for each row in the flat tables, (n, trees)."""
        found = self._answers_of_one(matrix) if len(matrix) == 1 else self._answers_of_all(matrix)
        positions: NDArray[np.int32] = found[:, : self._count] + self._first
        return positions

    def _answers_of_all(self, matrix: Matrix) -> NDArray[np.uint8]:
        """Return each row's answers, one byte for each tree and padding."""
        found = np.zeros((len(matrix), self._words), dtype=np.uint64)
        for column, thresholds, answers in self._lookups:
            found |= answers.take(thresholds.searchsorted(matrix[:, column]), axis=0)
        return found.view(np.uint8)

    def _answers_of_one(self, matrix: Matrix) -> NDArray[np.uint8]:
        """The same for a single row in plain Python: for one row, the calls of numpy cost more."""
        row, found = matrix[0].tolist(), 0
        for column, thresholds, answers in self._lists:
            value = row[column]
            found |= answers[bisect_left(thresholds, value) if value == value else -1]
        return np.frombuffer(found.to_bytes(8 * self._words, "little"), dtype=np.uint8)[None]


def reached_leaves(feature: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the leaf that each of the 128 sets of answers leads to, for every tree, (trees, 128).

    An unused node never answers yes, so the same walk serves every tree.
    """
    answers = np.arange(ANSWERS)
    node = np.zeros(ANSWERS, dtype=np.int64)
    for _ in range(DEPTH):
        node = 2 * node + 1 + (answers >> node & 1)
    return np.broadcast_to(node - NODES, (len(feature), ANSWERS))
