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
from sklearn.pipeline import Pipeline

from models.artifact import Kind, Model
from models.drift import EDGES, histogram
from models.errors import TrainingDataError
from models.files.lines import STDIN, digest, shown
from models.schema.schema import PAYSIM, Schema
from models.training.calibration import Calibration, calibrate
from models.training.dataset import Labelled, Source, labelled
from models.training.fitting import fitted
from models.training.metrics import metrics

__all__ = ["TrainedModel", "TrainingDataError", "train"]

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


def train(
    source: Source,
    kind: Kind = "gradient_boosting",
    *,
    seed: int = 7,
    seeds: int = 1,
    weight_legit: float = 1.0,
    schema: Schema = PAYSIM,
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
    data = labelled(source, weight_legit, schema)
    origin = _origin(source, data)
    learn, tune, test = periods(data)
    judged = []
    for current in range(seed, seed + seeds):
        progress(f"Training {kind} on {len(learn.fraud):,} of {len(data.fraud):,} transactions")
        early = fitted(kind, current, learn, schema)
        found = calibrate(early.log_odds(tune), tune.fraud, tune.weight)
        judged.append((found, metrics(test, found.scores(early.log_odds(test)))))
        progress(f"Average precision on later ones: {judged[-1][1]['average_precision']:.3f}")
    calibration, measured = judged[0]
    if seeds > 1:
        measured["across_seeds"] = _spread([each for _, each in judged])
    progress(f"Training on all {len(data.fraud):,} transactions")
    final = fitted(kind, seed, data, schema)
    training = {
        **origin,
        "weight_legit": weight_legit,
        "gap_steps": _gap(data),
        "seed": seed,
        "calibration": calibration._asdict(),
        "score_edges": list(EDGES),
        "score_histogram": histogram(calibration.scores(final.log_odds(data)), data.weight),
        "parameters": _parameters(final.pipeline),
        "libraries": {
            "python": platform.python_version(),
            **{name: installed(name) for name in ("numpy", "pandas", "scikit-learn")},
        },
    }
    names = list(schema.features.names)
    model = Model(kind, schema.contract, names, final.exported(calibration), final.learned)
    return TrainedModel(model, training, measured, final.pipeline, calibration)


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
