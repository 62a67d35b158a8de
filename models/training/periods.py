"""Periods of time to train on, to calibrate on and to evaluate on.

Where frauds are many, the periods are shares of the rows. Where they are few, such a share may hold
none. So the time is divided by the frauds then, and the calibration is cross-fitted: the time
before the test is cut into folds, and each is scored by a model of the others, so that all of its
frauds count for the calibration rather than those of one period (Platt: "Probabilistic Outputs for
Support Vector Machines", 1999, section 2.1). The folds are periods, rather than drawn at random,
because fraud comes in bursts: the other rows of a burst would tell a row's label.

Where labels come late and features are made of them, what is trained and calibrated on ends so long
before the test that all of its labels are known when the test begins, as they will be in service.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from math import ceil
from typing import Final, NamedTuple

import numpy as np

from models.errors import TrainingDataError
from models.profiles.windows import DAY, HOUR
from models.training.columns import Flags
from models.training.dataset import Labelled
from models.training.period_ends import Ends

GAP: Final = 24
"""Steps (hours) that are left out between two periods; fewer if the data is short."""
SHARES: Final = (0.6, 0.8)
"""Shares of the weighted rows, or of the frauds, at which training and calibration period end."""
ENOUGH: Final = 40
"""Frauds of a period that suffices for itself.

Measured on generated transactions, 12 draws of each size, as the error of the sum of the scores of
other rows (root mean square, and the worst draw): 17 % and 54 % where 20 frauds calibrate, 11 % and
21 % where 40 do, as they do for the packaged transactions. A cross-fit has 5 % and 10 % for either.
It gains beyond 40, too, but costs five more trainings, each of which takes longer with more rows.
"""
LEAST: Final = 10
"""Frauds without which there is no training, and as many others."""
FOLDS: Final = 5
KEPT: Final = 0.8
"""Share of the frauds that a gap must leave to train on; a gap that leaves fewer is halved."""
KEPT_OF_KNOWN: Final = 0.5
"""The same of the gap until labels are known: without it metrics promise too much, so it may cost
more."""


class Fold(NamedTuple):
    """Rows to calibrate on, and the rows that the model which scores them is trained on."""

    learn: Flags
    tune: Flags


class Periods(NamedTuple):
    """What each row is for; masks of equal length."""

    learn: Flags
    """The model that is evaluated is trained on these."""
    folds: Sequence[Fold]
    """A single one where frauds are many: its `learn` is that of the periods."""
    test: Flags
    """Later than all others."""
    gap: int
    """Steps that are left out before the test; fewer than usual if that costs too many frauds."""


def periods(data: Labelled, label_delay: int = 0) -> Periods:
    """Divide rows in order of time.

    `label_delay` is how many seconds after its transaction a label is known, where features are
    made of labels: the gap is as long at least, unless that leaves too few frauds to train on.
    Each `learn`, all `tune` together, and `test` have both classes. Raises `TrainingDataError` if
    there are too few frauds, or others, or hours which have both.
    """
    frauds = int(data.fraud.sum())
    others = len(data.fraud) - frauds
    if min(frauds, others) < LEAST:
        raise TrainingDataError(
            f"the data hold {frauds} frauds in {len(data.fraud)} transactions; both classes are "
            f"needed, {LEAST} of each at least, so use a longer period or a file with labels"
        )
    gap = max(usual_gap(data), ceil(label_delay / HOUR))
    return _by_rows(data, gap) or _by_frauds(data, gap if label_delay else 0)


def unknown_labels(parts: Periods, label_delay: int) -> Iterator[str]:
    """Tell if labels that are trained on are not known yet when the test begins.

    `label_delay` is as for `periods`, and the steps are hours where it is not 0.
    """
    if parts.gap * HOUR < label_delay:
        yield (
            f"labels are known {label_delay / DAY:.3g} days after their transactions, and the gap "
            f"before the test is {parts.gap / 24:.3g} days: the model has learned from labels that "
            "nobody knew when the test began, so that the metrics promise too much; use data of a "
            f"longer period, or --gap-days {ceil(label_delay / DAY)} at least"
        )


def usual_gap(data: Labelled) -> int:
    """Return the steps between two periods, unless that leaves too few frauds."""
    return min(GAP, int(data.step[-1] - data.step[0]) // 20)


def _by_rows(data: Labelled, gap: int) -> Periods | None:
    """Return periods at `SHARES` of the rows; None if one has not `ENOUGH` frauds."""
    passed = np.cumsum(data.weight) / data.weight.sum()
    first, second = (int(data.step[np.searchsorted(passed, share)]) for share in SHARES)
    learn = data.step <= first - gap
    tune = (data.step > first) & (data.step <= second - gap)
    test = data.step > second
    for part in (learn, tune, test):
        frauds = int(data.fraud[part].sum())
        if not ENOUGH <= frauds < part.sum():
            return None
    return Periods(learn, [Fold(learn, tune)], test, gap)


def _by_frauds(data: Labelled, label_gap: int) -> Periods:
    """Return periods at shares of the frauds, with as many folds as their hours allow."""
    ends = Ends.of(data.step, data.fraud)
    first = ends.first()
    last = None if first is None else ends.nearest(SHARES[1], ends.after(first))
    if first is None or last is None:
        hours = len(np.unique(data.step[data.fraud]))
        raise TrainingDataError(
            f"the {int(data.fraud.sum())} frauds are in {hours} different hours, which cannot be "
            "divided into three periods that have both frauds and others: to train on, to "
            "calibrate on and to evaluate on; use a longer period, and check the times"
        )
    end, usual = int(ends.step[last]), usual_gap(data)
    known, gap = _known(data, end, label_gap)
    folds = cross_fit(data, known, Ends.of(data.step[known], data.fraud[known]))
    near = (known & (data.step <= end - each) for each in _gaps(usual))
    learn = _first_that_keeps(data, known, near)
    return Periods(learn, folds, data.step > end, gap if label_gap else usual)


def _known(data: Labelled, end: int, most: int) -> tuple[Flags, int]:
    """Return the rows up to `end` without a gap, and the gap: the longest that keeps enough."""
    rows: Flags = data.step <= end
    for gap in _gaps(most):
        known = data.step <= end - gap
        if _keeps(data, rows, known, KEPT_OF_KNOWN) and _divisible(data, known):
            return known, gap
    return rows, 0


def _divisible(data: Labelled, rows: Flags) -> bool:
    return Ends.of(data.step[rows], data.fraud[rows]).first() is not None


def cross_fit(data: Labelled, rows: Flags, ends: Ends) -> list[Fold]:
    """Return folds of some rows, of which each is tuned on what the others have trained.

    `ends` are those of the rows, of which one is possible at least.
    """
    folds, gap = [], usual_gap(data)
    for start, stop in _folds(ends):
        tune = rows & (data.step > start) & (data.step <= stop)
        outside = rows & ~tune
        near = ((data.step <= start - each) | (data.step > stop + each) for each in _gaps(gap))
        folds.append(Fold(_first_that_keeps(data, outside, near), tune))
    return folds


def _folds(ends: Ends) -> Iterator[tuple[int, int]]:
    """Yield the steps after which each fold begins, and with which it ends."""
    between = ends.possible()
    shares = (number / FOLDS for number in range(1, FOLDS))
    inner = sorted({at for share in shares if (at := ends.nearest(share, between)) is not None})
    steps = [int(ends.step[0]) - 1, *(int(ends.step[at]) for at in inner), int(ends.step[-1])]
    yield from pairwise(steps)


def _gaps(most: int) -> Iterator[int]:
    while most:
        yield most
        most //= 2


def _first_that_keeps(data: Labelled, rows: Flags, narrowed: Iterator[Flags]) -> Flags:
    """Return the first narrowed rows that keep enough; else all."""
    parts = (rows & each for each in narrowed)
    return next((part for part in parts if _keeps(data, rows, part, KEPT)), rows)


def _keeps(data: Labelled, rows: Flags, part: Flags, share: float) -> bool:
    """Whether a part of rows still has a share of their frauds, and others."""
    left = int(data.fraud[part].sum())
    return bool(share * int(data.fraud[rows].sum()) <= left < part.sum())
