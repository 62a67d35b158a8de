"""Learners of other libraries, each untrained.

Where one is there twice, its defaults are beside a version for rare frauds: slow steps, small
trees, and a penalty that keeps a leaf with a single fraud from jumping to a probability of 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

TREES: Final = 200
RATE: Final = 0.05
LEAVES: Final = 15
PENALTY: Final = 1.0


class Logistic:
    """A logistic regression on scaled features; a missing one is the mean."""

    def __init__(self) -> None:
        scaled = (StandardScaler(), SimpleImputer(strategy="constant", fill_value=0.0))
        self._pipeline: Pipeline = make_pipeline(*scaled, LogisticRegression(max_iter=2000))

    def fit(self, rows: Any, labels: Any, sample_weight: Any) -> None:
        """Fit on weighted rows."""
        self._pipeline.fit(rows, labels, logisticregression__sample_weight=sample_weight)

    def predict_proba(self, rows: Any) -> Any:
        """Return the probabilities of both classes."""
        return self._pipeline.predict_proba(rows)


def lightgbm(seed: int, **options: Any) -> Any:
    """Return LightGBM's classifier."""
    from lightgbm import LGBMClassifier

    return LGBMClassifier(random_state=seed, n_jobs=1, verbose=-1, **options)


def xgboost(seed: int, **options: Any) -> Any:
    """Return XGBoost's classifier."""
    from xgboost import XGBClassifier

    return XGBClassifier(random_state=seed, n_jobs=1, **options)


def catboost(seed: int) -> Any:
    """Return CatBoost's classifier; its default of 1,000 trees takes minutes."""
    from catboost import CatBoostClassifier

    return CatBoostClassifier(
        random_seed=seed,
        thread_count=1,
        verbose=False,
        allow_writing_files=False,
        iterations=TREES,
        learning_rate=0.1,
        depth=4,
    )


OTHERS: Final[Mapping[str, Callable[[int], Any]]] = {
    "logistic": lambda seed: Logistic(),
    "HistGradientBoosting": lambda seed: HistGradientBoostingClassifier(random_state=seed),
    "the same, for rare frauds": lambda seed: HistGradientBoostingClassifier(
        random_state=seed,
        learning_rate=RATE,
        max_iter=TREES,
        max_leaf_nodes=LEAVES,
        l2_regularization=PENALTY,
        early_stopping=False,
    ),
    "LightGBM": lightgbm,
    "LightGBM, for rare frauds": lambda seed: lightgbm(
        seed,
        learning_rate=RATE,
        n_estimators=TREES,
        num_leaves=LEAVES,
        reg_lambda=PENALTY,
        min_child_samples=50,
        min_sum_hessian_in_leaf=1.0,
    ),
    "XGBoost": xgboost,
    "XGBoost, for rare frauds": lambda seed: xgboost(
        seed, learning_rate=RATE, n_estimators=TREES, max_depth=4, subsample=0.5
    ),
    "CatBoost": catboost,
}
"""By name, a function from a seed to a learner with `fit(rows, labels, sample_weight=...)`."""
