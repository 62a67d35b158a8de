"""Evaluation of a model on labelled transactions, as a report in JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from models.errors import TrainingDataError
from models.profiles.replaying import LABEL_DELAY
from models.scorer import Scorer
from models.training.columns import Floats
from models.training.dataset import Labelled, labelled
from models.training.days import Span
from models.training.evasion import as_builtins, evasion, is_for, payments
from models.training.guards import of_evaluation
from models.training.metrics import THRESHOLDS, costs, metrics
from models.training.period_ends import Steps
from models.training.remembered import warmed_up
from models.training.sources import Source, files, sha256, streams, told

REPORT_FILE = "evaluation.json"
ALARM_COST = 1_000.0
"""Assumed cost of investigating one alarm, in account currency; callers may pass another."""
CHUNK = 20_000  # rows scored at a time, to bound memory on files of millions


def evaluate(
    source: Source,
    scorer: Scorer,
    *,
    weight_legit: float = 1.0,
    thresholds: dict[str, float] = THRESHOLDS,
    alarm_cost: float = ALARM_COST,
    label_delay: int = LABEL_DELAY,
    span: Callable[[Steps], Span] | None = None,
    out: Path | None = None,
    training: Mapping[str, Any] | None = None,
    evading: bool = False,
) -> tuple[dict[str, Any], Labelled, Floats]:
    """Return the report, and its rows and scores (for `models.training.plots`).

    `weight_legit` and `label_delay` are as for `labelled`. A frame may have a name for the report
    in its `attrs`. `span` returns the days to judge on from the hours of the rows; without, it is
    all rows, except for those that only warm up profiles if the schema remembers accounts
    (`models.training.remembered.warmed_up`). `training` is that of the model's card, by which the
    report's `warnings` tell if the model was trained on these rows; other sentences there are on
    likely mistakes in the data (`models.training.guards`). `evading` asks for the table of
    `models.training.evasion` as well. With `out`, the report is also written
    to `evaluation.json` in that directory. Raises `TrainingDataError` for data that a model cannot
    be evaluated on.
    """
    if evading and not is_for(scorer.schema):
        raise TrainingDataError(
            f"what evades a model is known for PaySim's fields alone, and schema "
            f"{scorer.schema.name} has others, or features of others; leave the table out"
        )
    rows = labelled(source, weight_legit, scorer.schema, scorer.features, label_delay)
    about: dict[str, Any] = {}
    if span is not None:
        days = span(rows.step)
        rows, about = rows.kept(days.has(rows.step)), {"days": str(days)}
    elif scorer.schema.remembering:
        warm = rows.step >= warmed_up(scorer.schema, rows.step)
        rows, about = rows.kept(warm), {"warm_up_rows": int((~warm).sum())}
    if not rows.fraud.any():
        within = f" from {about['days']}" if span else ""
        raise TrainingDataError(
            f"{told(source)} holds no fraud{within}, so there is nothing to find in it"
        )
    starts = range(0, len(rows.fraud), CHUNK)
    scores = np.concatenate([scorer.score_matrix(rows.matrix[at : at + CHUNK]) for at in starts])
    grid = np.linspace(0.01, 0.99, 99)
    cheapest = grid[np.argmin(costs(rows, scores, grid, alarm_cost))]
    report = {
        "data": told(source, "a frame"),
        "model_version": scorer.version,
        "weight_legit": weight_legit,
        **about,
        **metrics(rows, scores, thresholds),
        "warnings": of_evaluation(rows, scorer.schema, training or {}, _sha256(source)),
        "alarm_cost": alarm_cost,
        "cheapest_threshold": float(cheapest),
    }
    if evading:
        table = evasion(payments(rows), rows.fraud, scorer, thresholds["block"])
        report["evasion"] = as_builtins(table)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        text = msgspec.json.format(msgspec.json.encode(report), indent=2)
        (out / REPORT_FILE).write_bytes(text + b"\n")
    return report, rows, scores


def _sha256(source: Source) -> str | None:
    """Return the SHA-256 of files; None for a frame, and for a stream, which is gone by now."""
    return sha256(source) if files(source) and not streams(source) else None
