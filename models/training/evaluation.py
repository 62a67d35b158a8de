"""Evaluation of a model on labelled transactions, as a report in JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from models.errors import TrainingDataError
from models.files.lines import digest
from models.scorer import Scorer
from models.training.columns import Floats
from models.training.dataset import Labelled, labelled
from models.training.guards import of_evaluation
from models.training.metrics import THRESHOLDS, costs, metrics
from models.training.reading import Source

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
    out: Path | None = None,
    training: Mapping[str, Any] | None = None,
) -> tuple[dict[str, Any], Labelled, Floats]:
    """Return the report, and its rows and scores (for `models.training.plots`).

    `weight_legit` is how many transactions each legitimate row stands for. A frame may have a name
    for the report in its `attrs`. `training` is that of the model's card, by which the report's
    `warnings` tell if the model was trained on these rows; other sentences there are on likely
    mistakes in the data (`models.training.guards`). With `out`, the report is also written to
    `evaluation.json` in that directory. Raises `TrainingDataError` for data that a model cannot be
    evaluated on.
    """
    rows = labelled(source, weight_legit, scorer.schema, scorer.features)
    if not rows.fraud.any():
        raise TrainingDataError(f"{source} holds no fraud, so there is nothing to find in it")
    starts = range(0, len(rows.fraud), CHUNK)
    scores = np.concatenate([scorer.score_matrix(rows.matrix[at : at + CHUNK]) for at in starts])
    grid = np.linspace(0.01, 0.99, 99)
    cheapest = grid[np.argmin(costs(rows, scores, grid, alarm_cost))]
    report = {
        "data": str(source) if isinstance(source, Path) else source.attrs.get("name", "a frame"),
        "model_version": scorer.version,
        "weight_legit": weight_legit,
        **metrics(rows, scores, thresholds),
        "warnings": of_evaluation(rows, scorer.schema, training or {}, _digest(source)),
        "alarm_cost": alarm_cost,
        "cheapest_threshold": float(cheapest),
    }
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        text = msgspec.json.format(msgspec.json.encode(report), indent=2)
        (out / REPORT_FILE).write_bytes(text + b"\n")
    return report, rows, scores


def _digest(source: Source) -> str | None:
    """Return the SHA-256 of a file; None for a frame, and for a stream, which is gone by now."""
    return digest(source) if isinstance(source, Path) and source.is_file() else None
