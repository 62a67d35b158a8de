"""What training learns for a schema's features of texts: a number for each text that it has seen.

The `rate` of a text is the share of frauds among its rows. A training row's own label is in it, so
that a model would trust it more than any later row deserves. So training rows get the rate that
other periods show: `out_of_fold`. The periods follow each other in time, rather than being drawn
at random, because fraud comes in bursts: the other rows of a burst would tell a row's label, and
when a payment is decided, its burst has no labels yet. A text that is seen in one period only is
new there, as it will be to the model.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.errors import TrainingDataError
from models.schema.definition import Definition, Feature, operation
from models.schema.features import OTHERS, Learned, Matrix

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Texts = Mapping[str, Sequence[Any] | NDArray[np.object_]]
"""Columns of texts by field, None where one is missing; all have the same rows."""

MIN_ROWS: Final = 5
"""Texts with fewer rows have no number of their own: it would say little, and name somebody."""
MAX_TEXTS: Final = 10_000
"""Texts with a number of their own, per feature: those with most rows."""
FOLDS: Final = 5
DIGITS: Final = 7
"""Significant digits of a number: those of float32, the type that the model sees."""


class _Column(NamedTuple):
    """A column of texts as numbers."""

    place: NDArray[np.int64]
    """Per row, that of its text in `texts`; -1 where it is missing."""
    texts: list[str]


def learned_features(definition: Definition) -> dict[str, str]:
    """Return the features that training learns, each with its field."""
    found = {name: operation(each) for name, each in definition.features.items()}
    return {name: field for name, (kind, (field, *_)) in found.items() if kind in _NUMBERS}


def learn(definition: Definition, columns: Texts, fraud: Flags, weight: Floats) -> Learned:
    """Return the number of each text, by feature, from training rows.

    `columns` has the fields of `learned_features`; `weight` is how many transactions a row stands
    for. A frequency is a share of all rows, those without the text's field among them; a text that
    is not in the table has none. A rate is (frauds + smoothing * overall) / (rows + smoothing),
    where overall is the rate of all rows; it is also that of a text that is not in the table.
    Raises `TrainingDataError`.
    """
    _check(columns, fraud, weight)
    tables: dict[str, dict[str, float]] = {}
    for name, field in learned_features(definition).items():
        column, feature = _column(columns, field, len(fraud)), definition.features[name]
        every = np.ones(len(fraud), dtype=bool)
        others, numbers = _learned(feature, column, every, fraud, weight)
        rows = _rows(column)
        kept = sorted(np.flatnonzero(~np.isnan(numbers)), key=lambda at: (-rows[at], at))
        tables[name] = {OTHERS: others} | {column.texts[at]: float(numbers[at]) for at in kept}
    return tables


def out_of_fold(
    definition: Definition,
    columns: Texts,
    fraud: Flags,
    weight: Floats,
    folds: int = FOLDS,
) -> dict[str, Floats]:
    """Return the learned features of training rows, which are in order of time.

    A rate is learned from the rows of all other folds: the labels of a fold change nothing in it.
    Only the overall rate is that of all rows; one for each fold would tell the folds apart, and so
    how much fraud there is in each. A frequency has no labels in it, and is that of `learn`.
    Missing texts give NaN. Raises `TrainingDataError`.
    """
    _check(columns, fraud, weight)
    if not 2 <= folds <= len(fraud):
        raise TrainingDataError(f"{folds} folds of {len(fraud)} rows; take from 2 to one a row")
    fold = np.arange(len(fraud)) * folds // len(fraud)
    found = {}
    for name, field in learned_features(definition).items():
        column, feature = _column(columns, field, len(fraud)), definition.features[name]
        if feature.rate is None:
            every = np.ones(len(fraud), dtype=bool)
            numbers = _learned(feature, column, every, fraud, weight)
            found[name] = _looked_up(column.place, *numbers)
            continue
        found[name] = np.empty(len(fraud))
        for current in range(folds):
            here = fold == current
            numbers = _learned(feature, column, ~here, fraud, weight)
            found[name][here] = _looked_up(column.place[here], *numbers)
    return found


def looked_up(definition: Definition, learned: Learned, columns: Texts) -> dict[str, Floats]:
    """Return the learned features of rows that were not learned from, as serving computes them."""
    found = {}
    for name, field in learned_features(definition).items():
        table = learned[name]
        column = _column(columns, field, None)
        numbers = np.array([table.get(text, math.nan) for text in column.texts], dtype=np.float64)
        found[name] = _looked_up(column.place, table[OTHERS], numbers)
    return found


def filled(definition: Definition, matrix: Matrix, numbers: Mapping[str, Floats]) -> Matrix:
    """Return a copy of a schema's matrix with these columns, by feature, in their places."""
    names = list(definition.features)
    whole: Matrix = matrix.copy(order="K")
    for name, column in numbers.items():
        whole[:, names.index(name)] = column
    return whole


def _learned(
    feature: Feature, column: _Column, rows: Flags, fraud: Flags, weight: Floats
) -> tuple[float, Floats]:
    """Return the number of others and of each text, NaN if it has none, as these rows show them."""
    overall = float(weight[fraud].sum() / weight.sum())
    place, weight, fraud = column.place[rows], weight[rows], fraud[rows]
    known, total = place >= 0, float(weight.sum())
    place, weight, fraud = place[known], weight[known], fraud[known]
    count = len(column.texts)
    seen = np.bincount(place, minlength=count)
    of_text: Floats = np.bincount(place, weight, count).astype(np.float64)
    frauds: Floats = np.bincount(place, weight * fraud, count).astype(np.float64)
    others, numbers = _NUMBERS[operation(feature)[0]](feature, of_text, frauds, total, overall)
    numbers[seen < MIN_ROWS] = math.nan
    numbers[[at for at, text in enumerate(column.texts) if text == OTHERS]] = math.nan
    ordered = np.lexsort((np.arange(count), -seen, np.isnan(numbers)))
    numbers[ordered[MAX_TEXTS:]] = math.nan
    return _short(others), np.array([_short(each) for each in numbers], dtype=np.float64)


def _frequency(
    feature: Feature, of_text: Floats, frauds: Floats, total: float, overall: float
) -> tuple[float, Floats]:
    return 0.0, of_text / total if total else np.zeros_like(of_text)


def _rate(
    feature: Feature, of_text: Floats, frauds: Floats, total: float, overall: float
) -> tuple[float, Floats]:
    rows = of_text + feature.smoothing
    drawn = frauds + feature.smoothing * overall
    return overall, np.divide(drawn, rows, out=np.full_like(rows, overall), where=rows > 0.0)


_NUMBERS: Final = {"frequency": _frequency, "rate": _rate}


def _looked_up(place: NDArray[np.int64], others: float, numbers: Floats) -> Floats:
    known = np.where(np.isnan(numbers), others, numbers)
    found: Floats = np.append(known, math.nan)[place]  # place -1: the text is missing
    return found


def _rows(column: _Column) -> NDArray[np.int64]:
    return np.bincount(column.place[column.place >= 0], minlength=len(column.texts))


def _column(columns: Texts, field: str, rows: int | None) -> _Column:
    """Number the texts of a column in their order, so that the order of rows changes nothing."""
    if field not in columns:
        raise TrainingDataError(f"column {field} is missing; the schema learns from it")
    if rows is not None and len(columns[field]) != rows:
        raise TrainingDataError(f"column {field} has {len(columns[field])} of {rows} rows")
    place, texts = pd.factorize(np.array(columns[field], dtype=object))
    wrong = [text for text in texts if not isinstance(text, str)]
    if wrong:
        raise TrainingDataError(f"column {field} must hold texts or nothing, not {wrong[0]!r:.80}")
    order = sorted(range(len(texts)), key=lambda at: str(texts[at]))
    moved = np.empty(len(texts) + 1, dtype=np.int64)
    moved[order], moved[-1] = np.arange(len(texts)), -1
    return _Column(moved[place], [str(texts[at]) for at in order])


def _check(columns: Texts, fraud: Flags, weight: Floats) -> None:
    if len(fraud) != len(weight):
        raise TrainingDataError(f"there are {len(fraud)} labels and {len(weight)} weights")
    if not (np.isfinite(weight) & (weight >= 0.0)).all() or not weight.sum() > 0.0:
        raise TrainingDataError("weights must be numbers from 0, and not all 0")


def _short(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")
