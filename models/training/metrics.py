"""Metrics of scores. All are weighted, so that they hold at the true fraud rate."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.training.columns import Flags, Floats
from models.training.dataset import Labelled

THRESHOLDS = {"flag": 0.5, "block": 0.8}
"""Default thresholds of the metrics; the thresholds that decide are settings."""


def precision_recall(fraud: Flags, scores: Floats, weight: Floats) -> tuple[Floats, Floats, Floats]:
    """Return precision and recall with each distinct score as the threshold, and those scores.

    They are ordered from the highest score down. `fraud` must hold a true value.
    """
    order = np.argsort(-scores, kind="stable")
    # Rows with equal scores share a threshold.
    last = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    caught = np.cumsum((weight * fraud)[order])[last]
    taken = np.cumsum(weight[order])[last]
    return caught / taken, caught / caught[-1], scores[order][last]


def average_precision(fraud: Flags, scores: Floats, weight: Floats) -> float:
    """Return weighted average precision, as in `sklearn.metrics.average_precision_score`."""
    precision, recall, _ = precision_recall(fraud, scores, weight)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def at_threshold(rows: Labelled, scores: Floats, threshold: float) -> tuple[float, float]:
    """Return precision and recall at a threshold; precision is 0 if no row reaches it."""
    caught = scores >= threshold
    right = float(rows.weight[caught & rows.fraud].sum())
    taken, fraud = float(rows.weight[caught].sum()), float(rows.weight[rows.fraud].sum())
    return right / taken if taken else 0.0, right / fraud


def recall_at_precision(rows: Labelled, scores: Floats, wanted: float) -> float:
    """Return the largest recall of any threshold with at least this precision; 0 if none has it."""
    precision, recall, _ = precision_recall(rows.fraud, scores, rows.weight)
    return float(recall[precision >= wanted].max(initial=0.0))


def precision_at_daily(rows: Labelled, scores: Floats, most: int) -> float:
    """Return the mean over days of the share of fraud among each day's `most` highest scores.

    A row takes as many of the day's places as its weight.
    """
    days = (rows.step - 1) // 24
    found = []
    for day in np.unique(days):
        today = days == day
        order = np.argsort(-scores[today], kind="stable")
        weight = rows.weight[today][order]
        places = np.clip(most - (np.cumsum(weight) - weight), 0.0, weight)
        found.append(float(places[rows.fraud[today][order]].sum() / most))
    return float(np.mean(found))


def metrics(
    rows: Labelled, scores: Floats, thresholds: dict[str, float] = THRESHOLDS
) -> dict[str, Any]:
    """Return all metrics of an evaluation, ready for JSON; `rows` must contain fraud.

    Money is in account currency; `thresholds` has the probabilities for `flag` and `block`.
    """
    total, frauds = float(rows.weight.sum()), float(rows.weight[rows.fraud].sum())
    precision_flag, recall_flag = at_threshold(rows, scores, thresholds["flag"])
    precision_block, recall_block = at_threshold(rows, scores, thresholds["block"])
    blocked = scores >= thresholds["block"]
    money = rows.weight * rows.amount
    return {
        "rows": len(scores),
        "frauds": int(rows.fraud.sum()),
        "fraud_rate": frauds / total,
        "steps": [int(rows.step.min()), int(rows.step.max())],
        "thresholds": thresholds,
        "average_precision": average_precision(rows.fraud, scores, rows.weight),
        **_baseline(rows),
        "recall_at_precision_90": recall_at_precision(rows, scores, 0.9),
        "recall_at_precision_99": recall_at_precision(rows, scores, 0.99),
        "precision_at_10_a_day": precision_at_daily(rows, scores, 10),
        "precision_at_100_a_day": precision_at_daily(rows, scores, 100),
        "precision_flag": precision_flag,
        "recall_flag": recall_flag,
        "precision_block": precision_block,
        "recall_block": recall_block,
        "brier": float((rows.weight * (scores - rows.fraud) ** 2).sum() / total),
        "sum_p_over_sum_y": float((rows.weight * scores).sum() / frauds),
        "money_blocked": float(money[blocked & rows.fraud].sum()),
        "money_missed": float(money[~blocked & rows.fraud].sum()),
        "money_wrongly_held": float(money[blocked & ~rows.fraud].sum()),
    }


def _baseline(rows: Labelled) -> dict[str, float]:
    if rows.drained is None:
        return {}
    drained = rows.drained.astype(np.float64)
    found = average_precision(rows.fraud, drained, rows.weight)
    return {"drain_rule_average_precision": found}


def costs(
    rows: Labelled, scores: Floats, thresholds: NDArray[np.float64], alarm_cost: float
) -> Floats:
    """Return the cost of each threshold, account currency: missed fraud, and work on alarms."""
    order = np.argsort(scores)
    below = np.searchsorted(scores[order], thresholds)  # how many rows have a lower score
    missed = np.append(0.0, np.cumsum((rows.weight * rows.amount * rows.fraud)[order]))[below]
    quiet = np.append(0.0, np.cumsum(rows.weight[order]))[below]
    found: Floats = missed + alarm_cost * (rows.weight.sum() - quiet)
    return found
