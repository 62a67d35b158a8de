"""Exports a fitted scikit-learn pipeline as plain numbers that include the calibration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline

from models.ensemble import LEAVES, MAX_NUMBER, NODES, Trees
from models.linear import Linear
from models.schema.features import Matrix
from models.training.calibration import Calibration

Floats = NDArray[np.float64]

EXPONENTIAL = 2.0
"""Log-odds per unit of the decision function with the exponential loss; see `train`."""
ROWS = 65_536
"""Rows that are scored or weighed at a time, which bounds memory."""


def log_odds(pipeline: Pipeline, matrix: Matrix) -> Floats:
    """Return the pipeline's decision function for the rows as log-odds of fraud, (n,)."""
    starts = range(0, max(len(matrix), 1), ROWS)
    parts = (matrix[at : at + ROWS].astype(np.float64) for at in starts)
    decision: Floats = np.concatenate([pipeline.decision_function(each) for each in parts])
    boosted = isinstance(pipeline.steps[-1][1], GradientBoostingClassifier)
    return EXPONENTIAL * decision if boosted else decision


def exported(
    pipeline: Pipeline,
    calibration: Calibration,
    matrix: Matrix | None = None,
    row_weight: Floats | None = None,
) -> Trees | Linear:
    """Return the model whose raw score is the pipeline's `log_odds`, calibrated.

    The pipeline is one of those that `models.training.train` or `models.training.estimators` build.
    Boosting on histograms counts the rows in its leaves, and keeps no weights; with the training
    rows and their weights, the cover of a leaf is their weight, as it is for all other boosting.
    Raises `ValueError` for trees that `models.ensemble` cannot hold.
    """
    fitted = pipeline.steps[-1][1]
    if isinstance(fitted, GradientBoostingClassifier):
        return _trees(fitted, calibration)
    if isinstance(fitted, HistGradientBoostingClassifier):
        trees = _histogram_trees(fitted, calibration)
        return (
            trees if matrix is None or row_weight is None else _weighed(trees, matrix, row_weight)
        )
    scaler = pipeline["standardscaler"]
    weight = fitted.coef_[0] / scaler.scale_
    return Linear(
        expected=calibration.slope * float(fitted.intercept_[0]) + calibration.shift,
        weight=(calibration.slope * weight).tolist(),
        mean=scaler.mean_.tolist(),
    )


class _Node(NamedTuple):
    """A node of a fitted tree: a leaf has no column, an inner node neither value nor weight."""

    column: int = -1
    threshold: float = 0.0
    missing_left: bool = False
    left: int = 0
    right: int = 0
    value: float = 0.0
    weight: float = 0.0


class _Flat(NamedTuple):
    """A tree, breadth first and filled to full depth."""

    feature: list[int]
    threshold: list[float]
    missing_left: list[bool]
    leaf: list[float]
    cover: list[float]


def _trees(fitted: GradientBoostingClassifier, calibration: Calibration) -> Trees:
    prior = fitted.init_.class_prior_[1]
    base = float(np.log(prior / (1.0 - prior)))  # in log-odds already, so not scaled
    parts = [_flat(partial(_node, each.tree_)) for each in fitted.estimators_[:, 0]]
    scale = EXPONENTIAL * calibration.slope * fitted.learning_rate
    return _ensemble(parts, calibration.slope * base + calibration.shift, scale)


def _node(tree: Any, number: int) -> _Node:
    left = int(tree.children_left[number])
    if left < 0:
        weight = float(tree.weighted_n_node_samples[number])
        return _Node(value=float(tree.value[number, 0, 0]), weight=weight)
    return _Node(
        column=int(tree.feature[number]),
        threshold=float(tree.threshold[number]),
        left=left,
        right=int(tree.children_right[number]),
    )


def _histogram_trees(fitted: HistGradientBoostingClassifier, calibration: Calibration) -> Trees:
    base = calibration.slope * float(fitted._baseline_prediction.item()) + calibration.shift
    parts = [_flat(partial(_histogram_node, each.nodes)) for (each,) in fitted._predictors]
    trees = _ensemble(parts, base, calibration.slope)  # the learning rate is in the leaves already
    return msgspec.structs.replace(trees, missing_left=[part.missing_left for part in parts])


def _histogram_node(nodes: NDArray[Any], number: int) -> _Node:
    node = nodes[number]
    if node["is_leaf"]:
        return _Node(value=float(node["value"]), weight=float(node["count"]))
    if node["is_categorical"]:
        raise ValueError("the tree compares sets of values, not numbers")
    return _Node(
        column=int(node["feature_idx"]),
        # Infinite where only missing values go right: no feature is beyond the largest number.
        threshold=min(float(node["num_threshold"]), MAX_NUMBER),
        missing_left=bool(node["missing_go_to_left"]),
        left=int(node["left"]),
        right=int(node["right"]),
    )


def _ensemble(parts: Sequence[_Flat], base: float, scale: float) -> Trees:
    return Trees(
        base=base,
        feature=[part.feature for part in parts],
        threshold=[part.threshold for part in parts],
        leaf=[[scale * value for value in part.leaf] for part in parts],
        cover=[part.cover for part in parts],
    )


def _flat(node_of: Callable[[int], _Node]) -> _Flat:
    flat = _Flat([-1] * NODES, [0.0] * NODES, [False] * NODES, [0.0] * LEAVES, [0.0] * LEAVES)

    def place(number: int, at: int) -> None:
        node = node_of(number)
        if at >= NODES:
            if node.column >= 0:
                raise ValueError("the tree is deeper than three comparisons")
            flat.leaf[at - NODES] = node.value
            flat.cover[at - NODES] = node.weight
        elif node.column < 0:
            place(number, 2 * at + 1)
        else:
            flat.feature[at] = node.column
            flat.threshold[at] = float32_at_most(node.threshold)
            flat.missing_left[at] = node.missing_left
            place(node.left, 2 * at + 1)
            place(node.right, 2 * at + 2)

    place(0, 0)
    return flat


def _weighed(trees: Trees, matrix: Matrix, weight: Floats) -> Trees:
    """Return the same trees with the weight of these rows as cover."""
    compiled = trees.compiled(matrix.shape[1])
    first = LEAVES * np.arange(len(trees.leaf))
    cover = np.zeros(first.size * LEAVES)
    for start in range(0, len(weight), ROWS):
        part = slice(start, start + ROWS)
        ends = (compiled.leaves(matrix[part]) + first).ravel()
        cover += np.bincount(ends, np.repeat(weight[part], first.size), cover.size)
    return msgspec.structs.replace(trees, cover=np.round(cover, 4).reshape(-1, LEAVES).tolist())


def float32_at_most(threshold: float) -> float:
    """Return the largest float32 that is not above the threshold.

    Features are float32, so that comparing with either number gives the same answer.
    """
    nearest = np.float32(threshold)
    # In float64: numpy would round the threshold to compare it with a float32.
    below = float(nearest) <= threshold
    return float(nearest if below else np.nextafter(nearest, np.float32(-np.inf)))
