"""Exact Shapley values of shallow trees, tabulated.

The value of a set of known features is the mean of the tree, where the unknown features follow the
training rows ("path-dependent" expectations of TreeSHAP: Lundberg et al., Nature Machine
Intelligence 2, 2020). A tree of depth three has at most 128 sets of answers (see
`models.ensemble`), so all its Shapley values fit in a table that is computed once. Explaining a row
is then as cheap as scoring it.
"""

from __future__ import annotations

from math import factorial

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def shapley_tables(
    feature: list[list[int]],
    leaf: list[list[float]],
    cover: list[list[float]],
    columns: int,
    base: float,
) -> tuple[Floats, float]:
    """Return each feature's contribution by tree and set of answers, and the expected score.

    The table has shape (trees * answers, columns): row `tree * answers + number`.
    """
    nodes = len(feature[0])
    tables = np.zeros((len(feature), 2**nodes, columns))
    expected = base
    for table, tree in zip(tables, zip(feature, leaf, cover, strict=True), strict=True):
        expected += _fill(table, *tree)
    return tables.reshape(-1, columns), expected


def _fill(table: Floats, feature: list[int], leaf: list[float], cover: list[float]) -> float:
    """Write one tree's Shapley values into `table`; returns its mean."""
    used = sorted({column for column in feature if column >= 0})
    values = _values_of_sets(feature, leaf, cover, used)
    sets = np.arange(2 ** len(used))
    sizes = np.array([int(known).bit_count() for known in sets])
    for place, column in enumerate(used):
        without = sets[(sets >> place & 1) == 0]
        weight = _WEIGHTS[len(used)][sizes[without]]
        table[:, column] = (values[:, without | 1 << place] - values[:, without]) @ weight
    return float(values[0, 0])


def _values_of_sets(
    feature: list[int], leaf: list[float], cover: list[float], used: list[int]
) -> Floats:
    """Return the tree's mean by set of answers (rows) and set of known features (columns)."""
    nodes = len(feature)
    answers = np.arange(2**nodes)[:, None]
    sets = np.arange(2 ** len(used))[None, :]
    weights = [0.0] * nodes + list(cover)
    values = [np.zeros((1, 1))] * nodes + [np.array([[value]]) for value in leaf]
    for node in reversed(range(nodes)):
        left, right = 2 * node + 1, 2 * node + 2
        weights[node] = weights[left] + weights[right]
        if feature[node] < 0:
            values[node] = values[left]
            continue
        share = weights[left] / weights[node] if weights[node] else 0.5
        mean = share * values[left] + (1.0 - share) * values[right]
        followed = np.where(answers >> node & 1, values[right], values[left])
        values[node] = np.where(sets >> used.index(feature[node]) & 1, followed, mean)
    return np.broadcast_to(values[0], (answers.size, sets.size))


def _weights(count: int) -> Floats:
    """Return the Shapley weight of a set by its size, among `count` features."""
    total = factorial(count)
    return np.array([factorial(s) * factorial(count - s - 1) / total for s in range(count)])


_WEIGHTS = [_weights(count) for count in range(8)]
