"""Judging a model on a file of labelled transactions: numbers as JSON, and what they look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from models.errors import TrainingDataError
from models.scorer import Scorer
from models.training.dataset import Floats, Labelled, Source, labelled
from models.training.metrics import THRESHOLDS, costs, metrics

REPORT_FILE = "evaluation.json"
ALARM_COST = 1_000.0
"""Account currency: what looking into one alarm is assumed to cost, where nobody says better."""
CHUNK = 20_000  # rows scored at a time, to bound memory on files of millions


def evaluate(
    source: Source,
    scorer: Scorer,
    *,
    weight_legit: float = 1.0,
    thresholds: dict[str, float] = THRESHOLDS,
    alarm_cost: float = ALARM_COST,
    out: Path | None = None,
) -> tuple[dict[str, Any], Labelled, Floats]:
    """The report, and the rows and scores that it is about (for `models.training.plots`).

    `weight_legit` is how many transactions each legitimate row stands for; a frame may have a name
    to be told in its `attrs`. With `out` the report is
    written there as well, into `evaluation.json`. Raises `TrainingDataError` for a file that cannot
    be judged.
    """
    rows = labelled(source, weight_legit)
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
        "alarm_cost": alarm_cost,
        "cheapest_threshold": float(cheapest),
    }
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        text = msgspec.json.format(msgspec.json.encode(report), indent=2)
        (out / REPORT_FILE).write_bytes(text + b"\n")
    return report, rows, scores
