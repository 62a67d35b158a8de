"""Untrained pipelines for schemas whose rows can lack a feature."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from models.artifact import Kind
from models.ensemble import DEPTH, LEAVES
from models.schema.definition import Definition, operation

_LEARNED: Final = ("frequency", "rate")
_NEVER_MISSING: Final = ("missing", "one_hot")
"""Operations that give a number for a missing value, too."""


def has_missing(definition: Definition) -> bool:
    """Whether a feature can be missing, or is learned: then `missing_estimator` has to be used.

    A learned feature is missing in every row until training has learned it.
    """
    for feature in definition.features.values():
        kind, operands = operation(feature)
        if kind in _LEARNED:
            return True
        if kind not in _NEVER_MISSING and any(
            definition.known()[each].optional for each in operands
        ):
            return True
    return False


class NeverSeen(TransformerMixin, BaseEstimator):  # type: ignore[misc]  # scikit-learn has no types
    """Sets features that no training row had to 0, since scikit-learn cannot bin or scale them.

    A constant feature has no part in a model: its value in later rows makes no difference either.
    """

    def fit(self, matrix: Any, label: Any = None) -> NeverSeen:
        """Remember the columns in which all are missing."""
        self.columns_ = np.isnan(matrix).all(axis=0)
        return self

    def transform(self, matrix: Any) -> Any:
        """Return a copy with 0 in these columns."""
        found = np.array(matrix)
        found[:, self.columns_] = 0.0
        return found


def missing_estimator(kind: Kind, seed: int) -> Pipeline:
    """Return the untrained pipeline of a kind that takes missing features, NaN.

    Boosting learns at each node to which side a missing value belongs. The logistic regression
    takes it for the mean. `models.training.export.exported` exports both.
    """
    if kind == "logistic":
        return make_pipeline(
            NeverSeen(),
            StandardScaler(),  # leaves NaN as it is; the mean is 0 then
            SimpleImputer(strategy="constant", fill_value=0.0),
            LogisticRegression(C=1.0, max_iter=2000),
        )
    return make_pipeline(
        NeverSeen(),
        HistGradientBoostingClassifier(
            # Steps of the log loss divide by the sum of p (1 - p) in a leaf, nearly 0 where fraud
            # is rare; this 1 is added to it, so that no step is larger than the frauds in the leaf.
            l2_regularization=1.0,
            learning_rate=0.1,
            max_iter=100,
            max_depth=DEPTH,  # `models.ensemble` tabulates trees of this depth
            max_leaf_nodes=LEAVES,
            min_samples_leaf=20,
            max_features=0.5,
            early_stopping=False,  # it would take its own test rows at random, not the latest
            random_state=seed,
        ),
    )
