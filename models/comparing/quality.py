"""How good two models are on the same labelled rows, with intervals of 95 % by paired bootstrap.

Each draw takes the same rows for both models, so what is common to both does not blur their
difference: Efron and Tibshirani, An Introduction to the Bootstrap, 1993. Each row is drawn a
Poisson(1) number of times, which for many rows is as if they were drawn with replacement. Rows
between the same neighbouring scores of frauds, by both models, change all measures alike, and are
drawn together: Poisson(m) times for m rows. So a draw costs as much as there are frauds, not rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
_MAX_DRAWN: Final = 500_000
"""Numbers that are drawn at once, which bounds memory."""

_ROWS: Final = 65_536
"""Rows that are looked at together, so that little is held of each: 17 bytes at most."""

Floats = NDArray[np.float64]


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
    """Rows and what they were."""

    scores: Floats
    """Of both models, (n, 2)."""
    labels: NDArray[np.int8]
    """1 for fraud, 0 for none; rows with another number are left out."""
    weights: Floats


class _Cells(NamedTuple):
    """Rows that change all measures alike, k of them."""

    levels: NDArray[np.int64]
    """By model, how many thresholds and scores of frauds are not above those of rows, (k, 2)."""
    fraud: Floats
    """1 for frauds, else 0."""
    weights: Floats
    """Of each row."""
    counts: NDArray[np.int64]
    scores: Floats
    """Means of both models, (k, 2)."""
    least: list[list[int]]
    """By model, the least level that is not below each threshold."""


def quality(
    rows: Labelled, thresholds: Mapping[str, float], draws: int = DRAWS
) -> dict[str, Figure]:
    """Return each measure of both models by its name; empty with too few frauds.

    There are `average_precision`; `precision_NAME` and `recall_NAME` for each of the `thresholds`;
    and `calibration`, the sum of the scores for each fraud, which is 1 for true probabilities.
    Equal rows have equal intervals.
    """
    if np.count_nonzero(rows.labels == 1) < LEAST_FRAUDS:
        return {}
    cells = _cells(rows, [*thresholds.values()])
    found = _measured(cells, (cells.weights * cells.counts)[None, :])
    drawn = np.concatenate([_measured(cells, each) for each in _drawn(cells, draws)], axis=2)
    names = ["average_precision"]
    for each in thresholds:
        names += [f"precision_{each}", f"recall_{each}"]
    names.append("calibration")
    return {name: _figure(found[at, :, 0], drawn[at]) for at, name in enumerate(names)}


def _cells(rows: Labelled, thresholds: list[float]) -> _Cells:
    frauds = rows.scores[rows.labels == 1]
    cuts = [np.unique(np.append(frauds[:, at], thresholds)) for at in (0, 1)]
    parts = [slice(at, at + _ROWS) for at in range(0, len(rows.labels), _ROWS)]
    distinct = np.unique(np.concatenate([np.unique(rows.weights[part]) for part in parts]))
    codes = np.empty(len(rows.labels), np.int64)
    for part in parts:
        some = Labelled(rows.scores[part], rows.labels[part], rows.weights[part])
        codes[part] = _codes(some, cuts, distinct)
    cells, counts = np.unique(codes, return_counts=True)
    known = cells >= 0
    cells, counts = cells[known], counts[known]
    sums = np.zeros((len(cells), 2))
    for part in parts:
        is_known = codes[part] >= 0
        np.add.at(sums, np.searchsorted(cells, codes[part][is_known]), rows.scores[part][is_known])
    code, weight = np.divmod(cells, len(distinct))
    code, fraud = np.divmod(code, 2)
    return _Cells(
        np.stack(np.divmod(code, len(cuts[1]) + 1), axis=1),
        fraud.astype(np.float64),
        distinct[weight],
        counts,
        sums / counts[:, None],
        [np.searchsorted(each, thresholds, side="right").tolist() for each in cuts],
    )


def _codes(rows: Labelled, cuts: list[Floats], distinct: Floats) -> NDArray[np.int64]:
    """Return one number for both levels, fraud and weight of each row; -1 if it is left out."""
    one, other = (
        np.searchsorted(cuts[at], rows.scores[:, at], side="right").astype(np.int64)
        for at in (0, 1)
    )
    code = (one * (len(cuts[1]) + 1) + other) * 2 + (rows.labels == 1)
    code = code * len(distinct) + np.searchsorted(distinct, rows.weights)
    return np.where((rows.labels == 0) | (rows.labels == 1), code, -1)


def _drawn(cells: _Cells, draws: int) -> Iterator[Floats]:
    """Yield weights of the cells, (some draws, k)."""
    random = np.random.default_rng(SEED)
    at_once = max(1, _MAX_DRAWN // len(cells.counts))
    for begin in range(0, draws, at_once):
        size = (min(at_once, draws - begin), len(cells.counts))
        yield random.poisson(cells.counts, size) * cells.weights


def _measured(cells: _Cells, weights: Floats) -> Floats:
    """Return each measure of both models for weights of the cells, (measures, 2, draws)."""
    frauds = weights @ cells.fraud
    models = []
    for at in (0, 1):
        found = [_average_precision(cells, at, weights)]
        for least in cells.least[at]:
            above = (cells.levels[:, at] >= least).astype(np.float64)
            caught = weights @ (above * cells.fraud)
            found += [_ratio(caught, weights @ above), _ratio(caught, frauds)]
        models.append([*found, _ratio(weights @ cells.scores[:, at], frauds)])
    measured: Floats = np.array(models).swapaxes(0, 1)
    return measured


def _average_precision(cells: _Cells, at: int, weights: Floats) -> Floats:
    order = np.argsort(-cells.levels[:, at], kind="stable")
    # Cells of one level share a threshold.
    last = np.append(np.flatnonzero(np.diff(cells.levels[order, at])), len(order) - 1)
    ordered = weights[:, order]
    taken = np.cumsum(ordered, axis=1)[:, last]
    caught = np.cumsum(ordered * cells.fraud[order], axis=1)[:, last]
    gained = np.diff(caught, axis=1, prepend=0.0)
    return _ratio((gained * np.nan_to_num(_ratio(caught, taken))).sum(axis=1), caught[:, -1])


def _figure(found: Floats, drawn: Floats) -> Figure:
    return Figure(
        _interval(found[0], drawn[0]),
        _interval(found[1], drawn[1]),
        _interval(found[1] - found[0], drawn[1] - drawn[0]),
    )


def _interval(value: float, drawn: Floats) -> Interval | None:
    defined = drawn[~np.isnan(drawn)]
    if np.isnan(value) or not len(defined):
        return None
    low, high = np.percentile(defined, _ENDS)
    return Interval(float(value), float(low), float(high))


def _ratio(part: Floats, whole: Floats) -> Floats:
    """Return quotients; NaN where the whole is 0."""
    return np.divide(part, whole, out=np.full_like(part, np.nan), where=whole > 0.0)
