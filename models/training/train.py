"""Training: from labelled transactions to a calibrated model and its metrics.

The model is trained on the first part of the data, calibrated on a later part, evaluated on the
part after that, and then trained once more on all data. Between the parts is a gap, since the label
of a payment is known only a day or so later (Le Borgne, Bontempi: "Reproducible Machine
Learning for Credit Card Fraud Detection", 2022, chapter 5).
"""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from models.artifact import Kind, Model
from models.drift import EDGES, histogram
from models.errors import TrainingDataError
from models.files.lines import STDIN, digest, shown
from models.schema.schema import PAYSIM
from models.training.calibration import Calibration, calibrate
from models.training.dataset import Labelled, Source, labelled
from models.training.export import exported, log_odds
from models.training.metrics import metrics
from models.training.rounding import rounded

__all__ = ["TrainedModel", "TrainingDataError", "estimator", "train"]

GAP = 24
"""Steps (hours) that are left out between two periods; fewer if the data is short."""
PERIODS = (0.6, 0.8)
"""Shares of the weighted rows at which the training and the calibration period end."""


class TrainedModel(NamedTuple):
    """A trained model, and the content of its card."""

    model: Model
    training: dict[str, Any]
    metrics: dict[str, Any]
    pipeline: Pipeline
    """The fitted scikit-learn pipeline: the reference that the exported model must equal."""
    calibration: Calibration
    """Maps the pipeline's log-odds to log-odds that hold on later rows."""


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
            learning_rate=0.15,
            n_estimators=80,
            max_depth=3,  # `models.ensemble` tabulates trees of this depth
            subsample=0.5,
            min_samples_leaf=20,
            max_features=4,
            random_state=seed,
        )
    )


def train(
    source: Source,
    kind: Kind = "gradient_boosting",
    *,
    seed: int = 7,
    seeds: int = 1,
    weight_legit: float = 1.0,
    progress: Callable[[str], None] = lambda line: None,
) -> TrainedModel:
    """Train, calibrate and evaluate a model.

    The same data, options and seed give the same model, whatever the processor.

    With `seeds` above 1, models with the following seeds are evaluated as well, and the card has
    the spread of their metrics. `weight_legit` is as for `labelled`. `progress` is called with a
    line at each stage. Raises `TrainingDataError`.
    """
    progress(f"Reading {source if isinstance(source, Path) else 'the data'}")
    if isinstance(source, Path) and _ends(source):
        raise TrainingDataError(
            f"{shown(source)} can be read only once, and training reads it twice: for what is in "
            "it, and for the card to tell by its SHA-256 what that was; save it as a file"
        )
    data = labelled(source, weight_legit)
    origin = _origin(source, data)
    learn, tune, test = periods(data)
    judged = []
    for current in range(seed, seed + seeds):
        progress(f"Training {kind} on {len(learn.fraud):,} of {len(data.fraud):,} transactions")
        early = _fit(estimator(kind, current), learn)
        found = calibrate(log_odds(early, tune.matrix), tune.fraud, tune.weight)
        judged.append((found, metrics(test, found.scores(log_odds(early, test.matrix)))))
        progress(f"Average precision on later ones: {judged[-1][1]['average_precision']:.3f}")
    calibration, measured = judged[0]
    if seeds > 1:
        measured["across_seeds"] = _spread([each for _, each in judged])
    progress(f"Training on all {len(data.fraud):,} transactions")
    final = _fit(estimator(kind, seed), data)
    body = exported(final, calibration)
    return TrainedModel(
        Model(kind, PAYSIM.contract, list(PAYSIM.features.names), body),
        {
            **origin,
            "weight_legit": weight_legit,
            "gap_steps": _gap(data),
            "seed": seed,
            "calibration": calibration._asdict(),
            "score_edges": list(EDGES),
            "score_histogram": histogram(
                calibration.scores(log_odds(final, data.matrix)), data.weight
            ),
            "parameters": _parameters(final),
            "libraries": {
                "python": platform.python_version(),
                **{name: installed(name) for name in ("numpy", "pandas", "scikit-learn")},
            },
        },
        measured,
        final,
        calibration,
    )


def periods(data: Labelled) -> tuple[Labelled, Labelled, Labelled]:
    """Split the data into training, calibration and test period, in order of time and with gaps.

    Raises `TrainingDataError` if a period does not have both classes.
    """
    passed = np.cumsum(data.weight) / data.weight.sum()
    first, second = (int(data.step[np.searchsorted(passed, share)]) for share in PERIODS)
    gap = _gap(data)
    parts = (
        data.at(data.step <= first - gap),
        data.at((data.step > first) & (data.step <= second - gap)),
        data.at(data.step > second),
    )
    for name, part in zip(("first 60%", "next 20%", "last 20%"), parts, strict=True):
        frauds = int(part.fraud.sum())
        if not 0 < frauds < len(part.fraud):
            raise TrainingDataError(
                f"the {name} of the time hold {frauds} frauds in {len(part.fraud)} transactions; "
                "both classes are needed there, so use a longer period or a file with labels"
            )
    return parts


def _gap(data: Labelled) -> int:
    return min(GAP, int(data.step[-1] - data.step[0]) // 20)


def _fit(pipeline: Pipeline, data: Labelled) -> Pipeline:
    weight = {f"{pipeline.steps[-1][0]}__sample_weight": data.weight / data.weight.mean()}
    # In float64, so that scaling and summing are as exact as in serving.
    fitted: Pipeline = pipeline.fit(
        data.matrix.astype(np.float64), data.fraud.astype(int), **weight
    )
    return rounded(fitted)


def _spread(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and extremes of the main metrics over the seeds."""
    names = ("average_precision", "precision_block", "recall_block", "sum_p_over_sum_y")
    columns = {name: [each[name] for each in measured] for name in names}
    return {"seeds": len(measured)} | {
        name: {"mean": float(np.mean(column)), "least": min(column), "most": max(column)}
        for name, column in columns.items()
    }


def _ends(source: Path) -> bool:
    """Whether the source is a stream, which can be read only once."""
    return source == STDIN or (source.exists() and not source.is_file() and not source.is_dir())


def _origin(source: Source, data: Labelled) -> dict[str, Any]:
    return {
        "data": source.name if isinstance(source, Path) else "a frame",
        "data_sha256": digest(source)
        if isinstance(source, Path)
        else hashlib.sha256(source.to_csv().encode()).hexdigest(),
        "rows": len(data.fraud),
        "frauds": int(data.fraud.sum()),
        "fraud_rate": float(data.fraud.sum() / data.weight.sum()),
        "steps": [int(data.step[0]), int(data.step[-1])],
    }


def _parameters(pipeline: Pipeline) -> dict[str, Any]:
    parameters = pipeline.steps[-1][1].get_params()
    return {name: value for name, value in parameters.items() if value is not None}
