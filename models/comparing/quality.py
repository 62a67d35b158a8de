"""How good two models are on the same labelled rows, with intervals of 95 % by paired bootstrap.

Each draw takes the same rows for both models, so what is common to both does not blur their
difference: Efron and Tibshirani, An Introduction to the Bootstrap, 1993. Each row is drawn a
Poisson(1) number of times, which for many rows is as if they were drawn with replacement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

DRAWS: Final = 400
"""Enough for both ends of an interval of 95 % to have ten draws beyond them."""
LEAST_FRAUDS: Final = 5
"""Below, nothing is said of quality: most draws would have one fraud or none."""
SEED: Final = 20
_ENDS: Final = (2.5, 97.5)

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class Interval(Struct, frozen=True):
    """A value with its interval of 95 %."""

    value: float
    low: float
    high: float


class Figure(Struct, frozen=True):
    """One measure of both models on the same rows; None where it is not defined."""

    one: Interval | None
    other: Interval | None
    difference: Interval | None
    """Of the other model from the one."""


class Labelled(NamedTuple):
    """Rows whose labels are known."""

    scores: Floats
    """Of both models, (n, 2)."""
    fraud: Flags
    weights: Floats


class _Sorted:
    """A model's scores from the highest down; rows of one score share a threshold."""

    def __init__(self, scores: Floats, fraud: Flags) -> None:
        self._order = np.argsort(-scores, kind="stable")
        self._scores, self._fraud = scores, fraud
        ordered = scores[self._order]
        self._last = np.append(np.flatnonzero(np.diff(ordered)), len(scores) - 1)
        self._is_fraud = fraud[self._order]

    def average_precision(self, weights: Floats) -> float:
        ordered = weights[self._order]
        caught = np.cumsum(ordered * self._is_fraud)[self._last]
        taken = np.cumsum(ordered)[self._last]
        if not caught[-1]:
            return np.nan
        precision = caught / np.where(taken > 0.0, taken, 1.0)
        return float(np.sum(np.diff(caught, prepend=0.0) * precision) / caught[-1])

    def precision(self, weights: Floats, threshold: float) -> float:
        taken = weights * (self._scores >= threshold)
        return _ratio(float(taken @ self._fraud), float(taken.sum()))

    def recall(self, weights: Floats, threshold: float) -> float:
        frauds = weights * self._fraud
        return _ratio(float(frauds @ (self._scores >= threshold)), float(frauds.sum()))

    def calibration(self, weights: Floats) -> float:
        return _ratio(float(weights @ self._scores), float(weights @ self._fraud))


_Measure = Callable[[_Sorted, Floats], float]


def quality(
    rows: Labelled, thresholds: Mapping[str, float], draws: int = DRAWS
) -> dict[str, Figure]:
    """Return each measure of both models by its name; empty with too few frauds.

    There are `average_precision`; `precision_NAME` and `recall_NAME` for each of the `thresholds`;
    and `calibration`, the sum of the scores for each fraud, which is 1 for true probabilities.
    Equal rows have equal intervals.
    """
    if int(rows.fraud.sum()) < LEAST_FRAUDS:
        return {}
    models = [_Sorted(rows.scores[:, place], rows.fraud) for place in (0, 1)]
    measures = _measures(thresholds)
    found = np.array(_all(models, measures, rows.weights))
    random = np.random.default_rng(SEED)
    drawn = np.array(
        [
            _all(models, measures, rows.weights * random.poisson(1.0, len(rows.fraud)))
            for _ in range(draws)
        ]
    )
    return {name: _figure(found[at], drawn[:, at]) for at, name in enumerate(measures)}


def _measures(thresholds: Mapping[str, float]) -> dict[str, _Measure]:
    measures: dict[str, _Measure] = {"average_precision": _Sorted.average_precision}
    for name, at in thresholds.items():
        measures[f"precision_{name}"] = partial(_Sorted.precision, threshold=at)
        measures[f"recall_{name}"] = partial(_Sorted.recall, threshold=at)
    return {**measures, "calibration": _Sorted.calibration}


def _all(
    models: list[_Sorted], measures: dict[str, _Measure], weights: Floats
) -> list[list[float]]:
    return [[measure(each, weights) for each in models] for measure in measures.values()]


def _figure(found: Floats, drawn: Floats) -> Figure:
    return Figure(
        _interval(found[0], drawn[:, 0]),
        _interval(found[1], drawn[:, 1]),
        _interval(found[1] - found[0], drawn[:, 1] - drawn[:, 0]),
    )


def _interval(value: float, drawn: Floats) -> Interval | None:
    defined = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not len(defined):
        return None
    low, high = np.percentile(defined, _ENDS)
    return Interval(float(value), float(low), float(high))


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else np.nan
