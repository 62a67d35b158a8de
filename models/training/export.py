"""Exports a fitted scikit-learn pipeline as plain numbers that include the calibration."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.pipeline import Pipeline
from sklearn.tree import DecisionTreeRegressor

from models.ensemble import LEAVES, NODES, Trees
from models.linear import Linear
from models.schema.features import Matrix
from models.training.calibration import Calibration

Floats = NDArray[np.float64]

EXPONENTIAL = 2.0
"""Log-odds per unit of the decision function with the exponential loss; see `train`."""


def log_odds(pipeline: Pipeline, matrix: Matrix) -> Floats:
    """Return the pipeline's decision function for the rows as log-odds of fraud, (n,)."""
    decision: Floats = pipeline.decision_function(matrix.astype(np.float64))
    boosted = isinstance(pipeline.steps[-1][1], GradientBoostingClassifier)
    return EXPONENTIAL * decision if boosted else decision


def exported(pipeline: Pipeline, calibration: Calibration) -> Trees | Linear:
    """Return the model whose raw score is the pipeline's `log_odds`, calibrated.

    The pipeline is one of those that `models.training.train` builds.
    """
    fitted = pipeline.steps[-1][1]
    if isinstance(fitted, GradientBoostingClassifier):
        return _trees(fitted, calibration)
    scaler = pipeline.steps[0][1]
    weight = fitted.coef_[0] / scaler.scale_
    return Linear(
        expected=calibration.slope * float(fitted.intercept_[0]) + calibration.shift,
        weight=(calibration.slope * weight).tolist(),
        mean=scaler.mean_.tolist(),
    )


def _trees(fitted: GradientBoostingClassifier, calibration: Calibration) -> Trees:
    prior = fitted.init_.class_prior_[1]
    base = float(np.log(prior / (1.0 - prior)))  # in log-odds already, so not scaled
    parts = [_flat(tree) for tree in fitted.estimators_[:, 0]]
    scale = EXPONENTIAL * calibration.slope * fitted.learning_rate
    return Trees(
        base=calibration.slope * base + calibration.shift,
        feature=[part[0] for part in parts],
        threshold=[part[1] for part in parts],
        leaf=[[scale * value for value in part[2]] for part in parts],
        cover=[part[3] for part in parts],
    )


def _flat(
    regressor: DecisionTreeRegressor,
) -> tuple[list[int], list[float], list[float], list[float]]:
    """Flatten a tree, breadth first and filled to full depth.

    Returns features, thresholds, leaves and covers.
    """
    tree = regressor.tree_
    feature, threshold = [-1] * NODES, [0.0] * NODES
    leaf, cover = [0.0] * LEAVES, [0.0] * LEAVES

    def place(node: int, at: int) -> None:
        split = tree.children_left[node] >= 0
        if at >= NODES:
            if split:
                raise ValueError("the tree is deeper than three comparisons")
            leaf[at - NODES] = float(tree.value[node, 0, 0])
            cover[at - NODES] = float(tree.weighted_n_node_samples[node])
        elif split:
            feature[at] = int(tree.feature[node])
            threshold[at] = float32_at_most(float(tree.threshold[node]))
            place(tree.children_left[node], 2 * at + 1)
            place(tree.children_right[node], 2 * at + 2)
        else:
            place(node, 2 * at + 1)

    place(0, 0)
    return feature, threshold, leaf, cover


def float32_at_most(threshold: float) -> float:
    """Return the largest float32 that is not above the threshold.

    Features are float32, so that comparing with either number gives the same answer.
    """
    nearest = np.float32(threshold)
    # In float64: numpy would round the threshold to compare it with a float32.
    below = float(nearest) <= threshold
    return float(nearest if below else np.nextafter(nearest, np.float32(-np.inf)))
