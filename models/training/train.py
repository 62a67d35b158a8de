"""Training: from labelled transactions to a calibrated model and its metrics.

The model is trained on the first part of the data, calibrated on a later part, evaluated on the
part after that, and then trained once more on all data. Between the parts is a gap, since the label
of a payment is known only a day or so later (Le Borgne, Bontempi: "Reproducible Machine
Learning for Credit Card Fraud Detection", 2022, chapter 5), or later still where features are
made of labels. Where frauds are too few for such parts, the calibration is cross-fitted; see
`models.training.periods`.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from importlib.metadata import version as installed
from typing import Any, NamedTuple

import numpy as np
from msgspec import to_builtins
from msgspec.structs import replace
from sklearn.pipeline import Pipeline

from models.artifact import Kind, Model
from models.drift import EDGES, histogram
from models.errors import TrainingDataError
from models.files.lines import shown
from models.profiles.replaying import LABEL_DELAY
from models.schema.features import Features
from models.schema.schema import PAYSIM, Schema
from models.scorer import Scorer
from models.training.calibration import Calibration, calibrate
from models.training.chosen_periods import periods_of
from models.training.columns import Flags
from models.training.dataset import Labelled, labelled
from models.training.days import Days, known_after
from models.training.evasion import as_builtins, evasion, is_for, payments
from models.training.fitting import Fitted, fitted
from models.training.guards import of_training
from models.training.hardening import EVASIVE, LEAST_FRAUDS, Hardening
from models.training.metrics import metrics
from models.training.periods import Periods, periods, unknown_labels
from models.training.remembered import warmed_up
from models.training.row_sketch import digests, sketch
from models.training.sources import Source, name, sha256, streams, told
from models.training.watching import watchable
from models.watch.expected import ON_CARD

__all__ = ["TrainedModel", "TrainingDataError", "train", "train_on"]


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
    label_delay: int = LABEL_DELAY,
    days: Days | None = None,
    evasive: float | None = None,
    schema: Schema = PAYSIM,
    progress: Callable[[str], None] = lambda line: None,
    warn: Callable[[str], None] = lambda sentence: None,
) -> TrainedModel:
    """Train, calibrate and evaluate a model on files or a frame.

    The same data, options and seed give the same model, whatever the processor.

    With `seeds` above 1, models with the following seeds are evaluated as well, and the card has
    the spread of their metrics. `weight_legit` and `label_delay` are as for `labelled`. With
    `days`, the model is trained on those, and judged on those, and stays as it was judged.
    `evasive` is how many thieves know the model, to one who does not, where it can learn of them:
    boosting on PaySim's fields (`models.training.hardening`). By default it is `EVASIVE`, and none
    where there are few frauds.
    `progress` is called with a line at each stage, and `warn` with a sentence for each likely
    mistake in the data (`models.training.guards`); the card has those, too. Raises
    `TrainingDataError`.
    """
    progress(f"Reading {told(source)}")
    for path in streams(source):
        raise TrainingDataError(
            f"{shown(path)} can be read only once, and training reads it twice: for what is in "
            "it, and for the card to tell by its SHA-256 what that was; save it as a file"
        )
    options: dict[str, Any] = {"weight_legit": weight_legit}
    if schema.remembering:
        options["label_delay"] = label_delay
    return train_on(
        # Without a name here: what was read is large, and `train_on` lets go of it.
        labelled(source, weight_legit, schema, label_delay=label_delay, progress=progress),
        kind,
        origin={"data": name(source), "data_sha256": sha256(source), **options},
        label_delay=known_after(schema, label_delay),
        seed=seed,
        seeds=seeds,
        days=days,
        evasive=evasive,
        schema=schema,
        progress=progress,
        warn=warn,
    )


def train_on(
    data: Labelled,
    kind: Kind,
    *,
    origin: Mapping[str, Any],
    label_delay: int = 0,
    seed: int,
    seeds: int = 1,
    days: Days | None = None,
    evasive: float | None = None,
    schema: Schema,
    is_warm: bool = False,
    progress: Callable[[str], None] = lambda line: None,
    warn: Callable[[str], None] = lambda sentence: None,
) -> TrainedModel:
    """Train like `train` on rows that are read already; `origin` says on the card what they are.

    `label_delay` is as for `periods`. `is_warm` says that the profiles of all rows had a past of
    their own.
    """
    warnings = of_training(data, schema)
    for sentence in warnings:
        warn(sentence)
    sent = payments(data) if is_for(schema) else None
    if evasive is None:
        evasive = EVASIVE if data.fraud.sum() >= LEAST_FRAUDS else 0.0
    hardening = Hardening(data, schema, kind, evasive)
    if days is None:
        rows, chosen = _warm(data, schema, is_warm)
        recognised = sketch(digests(data, schema)[rows])
        # Without what was read of them, which is large.
        data = data._replace(fields={}) if rows.all() else data.at(rows)
        parts = periods(data, label_delay)
    else:
        days = replace(days, test_from=days.test_span(data.step).first)
        parts, chosen = periods_of(data, days), {"days": to_builtins(days)}
        recognised = sketch(digests(data, schema)[parts.learn])
        data = data._replace(fields={})
    tried = {name: column[parts.test] for name, column in sent.items()} if sent else None
    del sent
    unknown = [*unknown_labels(parts, label_delay)]
    for sentence in unknown:
        warn(sentence)
    test = data.at(parts.test)
    judged, models = [], []
    for current in range(seed, seed + seeds):
        learned = int(parts.learn.sum())
        progress(f"Training {kind} on {learned:,} of {len(data.fraud):,} transactions")
        copies = hardening.of(parts.learn)
        early = fitted(kind, current, data.at(parts.learn), schema, progress, copies)
        models.append(early)
        if len(parts.folds) > 1:
            progress(f"Training {len(parts.folds)} more to calibrate it, since frauds are few")
        found = _calibration(kind, current, data, parts, early, schema, hardening)
        judged.append((found, metrics(test, found.scores(early.log_odds(test)))))
        later = "later ones" if days is None else str(days.test_span(data.step))
        progress(f"Average precision on {later}: {judged[-1][1]['average_precision']:.3f}")
    calibration, measured = judged[0]
    if tried is not None:
        scorer = _scorer(models[0], calibration, schema)
        measured["evasion"] = as_builtins(evasion(tried, test.fraud, scorer))
    if seeds > 1:
        measured["across_seeds"] = _spread([each for _, each in judged])
    if days is None:
        progress(f"Training on all {len(data.fraud):,} transactions")
        copies = hardening.of(np.ones(len(data.fraud), np.bool_))
        final, known = fitted(kind, seed, data, schema, progress, copies), data
    else:
        final, known = models[0], data.at(parts.learn)
    scores = calibration.scores(final.log_odds(known))
    names = schema.features.names
    training = {
        **origin,
        **_about(known),
        "warnings": [*warnings, *unknown],
        "row_sketch": recognised,
        **chosen,
        "gap_steps": parts.gap,
        "seed": seed,
        **hardening.told,
        "calibration": calibration._asdict(),
        "calibration_folds": len(parts.folds),
        "calibration_frauds": sum(int(data.fraud[each.tune].sum()) for each in parts.folds),
        "score_edges": list(EDGES),
        "score_histogram": histogram(scores, known.weight),
        ON_CARD: to_builtins(watchable(final.as_served(known), known.weight, scores, names)),
        "parameters": _parameters(final.pipeline),
        "libraries": {
            "python": platform.python_version(),
            **{each: installed(each) for each in ("numpy", "pandas", "scikit-learn")},
        },
    }
    model = Model(kind, schema.contract, [*names], final.exported(calibration), final.learned)
    return TrainedModel(model, training, measured, final.pipeline, calibration)


def _warm(data: Labelled, schema: Schema, is_warm: bool) -> tuple[Flags, dict[str, Any]]:
    """Return whether rows have a past, and what a card says of those that have none."""
    if schema.remembering is None or is_warm:
        return np.ones(len(data.step), np.bool_), {}
    first = warmed_up(schema, data.step)
    warm: Flags = data.step >= first
    return warm, {"warm_up": {"rows": int((~warm).sum()), "before_step": first}}


def _calibration(
    kind: Kind,
    seed: int,
    data: Labelled,
    parts: Periods,
    early: Fitted,
    schema: Schema,
    hardening: Hardening,
) -> Calibration:
    """Calibrate on rows as models score them which have not seen them.

    `early` is the model of `parts.learn`.
    """
    raw, rows = [], []
    for learn, tune in parts.folds:
        shared = learn is parts.learn
        copies = None if shared else hardening.of(learn)
        model = early if shared else fitted(kind, seed, data.at(learn), schema, copies=copies)
        raw.append(model.log_odds(data.at(tune)))
        rows.append(np.flatnonzero(tune))
    held = np.concatenate(rows)
    return calibrate(np.concatenate(raw), data.fraud[held], data.weight[held])


def _scorer(model: Fitted, calibration: Calibration, schema: Schema) -> Scorer:
    compiled = model.exported(calibration).compiled(len(schema.features.names))
    return Scorer("", compiled, schema, Features(schema.definition, model.learned))


def _spread(measured: list[dict[str, Any]]) -> dict[str, Any]:
    """Return mean and extremes of the main metrics over the seeds."""
    names = ("average_precision", "precision_block", "recall_block", "sum_p_over_sum_y")
    columns = {name: [each[name] for each in measured] for name in names}
    return {"seeds": len(measured)} | {
        name: {"mean": float(np.mean(column)), "least": min(column), "most": max(column)}
        for name, column in columns.items()
    }


def _about(data: Labelled) -> dict[str, Any]:
    return {
        "rows": len(data.fraud),
        "frauds": int(data.fraud.sum()),
        "fraud_rate": float(data.weight[data.fraud].sum() / data.weight.sum()),
        "steps": [int(data.step[0]), int(data.step[-1])],
    }


def _parameters(pipeline: Pipeline) -> dict[str, Any]:
    parameters = pipeline.steps[-1][1].get_params()
    return {name: value for name, value in parameters.items() if value is not None}
