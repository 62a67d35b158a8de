"""Fits a pipeline on labelled rows of a schema, with what has to be learned of texts first."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.artifact import Kind
from models.ensemble import Trees
from models.linear import Linear
from models.schema.definition import Definition
from models.schema.features import Matrix
from models.schema.schema import Schema
from models.training import export, learning
from models.training.calibration import Calibration
from models.training.columns import Flags, Floats
from models.training.dataset import Labelled
from models.training.estimators import has_missing, missing_estimator
from models.training.hardening import Copies
from models.training.rounding import rounded

MAX_FEATURES = 8
"""Features that a tree of the usual boosting chooses among at each node."""
FEW_ROWS = 50_000
"""Rows up to which one thread takes no longer than two on an idle machine. On a busy one, threads
wait for each other at every step: it takes two of them eight times as long (measured on two cores).
"""

MAX_HONEST = 500_000
"""Honest rows that are fitted on: of more, evenly spaced ones stand for the others.

Frauds are what is rare, and each of them is kept. A data set of millions is thus fitted in the
memory and in the time of half a million."""

MANY_ROWS = 200_000
TOLD = 20
"""Trees after which progress is told."""


class Fitted(NamedTuple):
    """A fitted pipeline, and what was learned for its features."""

    pipeline: Pipeline
    definition: Definition
    learned: dict[str, dict[str, float]]
    matrix: Matrix
    """The rows it was fitted on."""
    weight: Floats

    def log_odds(self, rows: Labelled) -> Floats:
        """Return raw scores of rows as serving computes them, (n,)."""
        return export.log_odds(self.pipeline, self.as_served(rows))

    def exported(self, calibration: Calibration) -> Trees | Linear:
        """Return the model whose raw score is `log_odds`, calibrated."""
        return export.exported(self.pipeline, calibration, self.matrix, self.weight)

    def as_served(self, rows: Labelled) -> Matrix:
        """Return the features of rows as serving computes them."""
        if not self.learned:
            return rows.matrix
        numbers = learning.looked_up(self.definition, self.learned, rows.texts)
        return learning.filled(self.definition, rows.matrix, numbers)


def fitted(
    kind: Kind,
    seed: int,
    rows: Labelled,
    schema: Schema,
    progress: Callable[[str], None] = lambda line: None,
    copies: Copies | None = None,
) -> Fitted:
    """Fit the pipeline of a kind on rows in order of time; raises `TrainingDataError`.

    `copies` are fitted on, too, but are none of the rows that texts are learned from.
    `progress` is called with a line every `TOLD` trees, if they are of many rows.
    """
    definition, matrix = schema.definition, rows.matrix
    learned: dict[str, dict[str, float]] = {}
    if learning.learned_features(definition):
        given = definition, rows.texts, rows.fraud, rows.weight
        learned = {name: dict(table) for name, table in learning.learn(*given).items()}
        matrix = learning.filled(definition, matrix, learning.out_of_fold(*given))
    make = missing_estimator if has_missing(definition) else estimator
    matrix, fraud, weight = _thinned(matrix, rows.fraud, rows.weight)
    if copies is not None:
        matrix = np.concatenate([matrix.T, copies.matrix.T], axis=1).T
        fraud = np.append(fraud, copies.fraud)
        weight = np.append(weight, copies.weight)
    pipeline, weight = make(kind, seed), weight / weight.mean()
    if matrix.shape[1] < MAX_FEATURES and make is estimator and kind == "gradient_boosting":
        pipeline.steps[-1][1].set_params(max_features=matrix.shape[1])
    options: dict[str, Any] = {"sample_weight": weight}
    if isinstance(pipeline.steps[-1][1], GradientBoostingClassifier) and len(weight) > MANY_ROWS:
        options["monitor"] = _telling(progress)
    threads = 1 if len(weight) <= FEW_ROWS else None
    with threadpool_limits(threads):  # the model is the same: rounding removes what differs
        # In float64, so that scaling and summing are as exact as in serving.
        found: Pipeline = pipeline.fit(
            matrix.astype(np.float64),
            fraud.astype(int),
            **{f"{pipeline.steps[-1][0]}__{name}": each for name, each in options.items()},
        )
    return Fitted(rounded(found), definition, learned, matrix, weight)


def _telling(progress: Callable[[str], None]) -> Callable[[int, Any, Any], bool]:
    """Return a monitor of boosting that tells progress, and never ends it."""

    def monitor(tree: int, model: Any, local: Any) -> bool:
        if (tree + 1) % TOLD == 0:
            progress(f"{tree + 1} of {model.n_estimators} trees")
        return False

    return monitor


def _thinned(matrix: Matrix, fraud: Flags, weight: Floats) -> tuple[Matrix, Flags, Floats]:
    """Return all frauds, and of the others as many as are fitted on, which stand for all."""
    honest = np.flatnonzero(~fraud)
    every = -(-len(honest) // MAX_HONEST)
    if every <= 1:
        return matrix, fraud, weight
    chosen = fraud.copy()
    chosen[honest[::every]] = True
    kept = np.where(fraud, 1.0, weight[honest].sum() / weight[honest[::every]].sum())
    return matrix[chosen], fraud[chosen], (weight * kept)[chosen]


def estimator(kind: Kind, seed: int) -> Pipeline:
    """Return the untrained pipeline of a kind.

    Boosting with the usual log loss diverges at a fraud rate of one in a thousand. Its Newton steps
    divide by p (1 - p): a leaf with one fraud among rows of p = 0.0001 jumps to where p is 0 or 1,
    and the next steps divide by nearly zero. The steps of the exponential loss stay within -1..1
    whatever the data, and it has the same minimum: half the
    log-odds (Friedman, Hastie, Tibshirani: "Additive logistic regression", Annals of Statistics 28,
    2000, lemma 1).
    """
    if kind == "logistic":
        return make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=2000))
    return make_pipeline(
        GradientBoostingClassifier(
            loss="exponential",
            learning_rate=0.2,
            n_estimators=120,
            max_depth=3,  # `models.ensemble` tabulates trees of this depth
            subsample=0.5,
            min_samples_leaf=20,
            max_features=MAX_FEATURES,
            random_state=seed,
        )
    )
