"""What differs between two models on the same transactions."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from typing import Final

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from models.activity import OUTCOMES
from models.comparing.pairs import UNKNOWN, Pairs
from models.comparing.quality import Figure, Labelled, quality
from models.drift import histogram, stability_index
from models.policies.intervals import Share, wilson

Counts = dict[str, dict[str, float]]
_DAY: Final = 86_400
_HOUR: Final = 3_600
_BLOCK: Final = len(OUTCOMES) - 1


class Model(Struct, frozen=True, kw_only=True):
    """One of both models."""

    version: str
    outcomes: dict[str, int]
    """Rows by what its scores lead to."""
    scores: list[float]
    """Rows by score, in the bins of `models.drift`."""
    block_share: Share
    psi_of_training: float | None
    """Stability index of its scores against those of its training; None if its card has none."""


class Compared(Struct, frozen=True, kw_only=True):
    """Two models on the transactions that both have scored."""

    one: Model
    other: Model
    rows: int
    first: datetime
    last: datetime
    days: int
    """UTC days with rows."""
    hours: int
    """Hours with rows."""
    agreement: Share
    """Rows that both lead to the same outcome for."""
    counts: Counts
    """Rows by the outcome of the one, then by that of the other."""
    amounts: Counts
    """The same in units of account currency."""
    psi: float
    """Stability index of the scores of the other against those of the one."""
    thresholds: dict[str, float]
    """At which precision and recall are taken."""
    labelled: int
    """Mature rows of which it is known what they were."""
    frauds: int
    """Those of them that were fraud."""
    quality: dict[str, Figure]
    """See `models.comparing.quality`; empty with too few frauds."""
    notes: list[str] = []
    """What has to be known to read the numbers, in sentences."""
    share: float = 1.0
    """Of the decisions of the period, those in the sample by which all the rest is counted."""

    @property
    def covered_days(self) -> float:
        """The hours with rows, in days."""
        return self.hours * _HOUR / _DAY


def compared(
    pairs: Pairs,
    versions: tuple[str, str],
    thresholds: Mapping[str, float],
    trained: Mapping[str, list[float]],
    notes: list[str],
    share: float = 1.0,
) -> Compared:
    """Compare two models on one row at least.

    `thresholds` are those at which precision and recall are taken, by name. `trained` has, by
    version, the histogram of scores of the training, where it is known. `share` is that of all
    decisions which the rows are a sample of.
    """
    one, other = (_model(pairs, at, each, trained.get(each)) for at, each in enumerate(versions))
    rows, same = len(pairs.scores), pairs.outcomes[:, 0] == pairs.outcomes[:, 1]
    labelled = Labelled(pairs.scores, pairs.labels, pairs.weights)
    return Compared(
        one=one,
        other=other,
        rows=rows,
        first=_moment(pairs.at[0]),
        last=_moment(pairs.at[-1]),
        days=len(np.unique(pairs.at // _DAY)),
        hours=len(np.unique(pairs.at // _HOUR)),
        agreement=wilson(int(same.sum()), rows),
        counts=_table(pairs.outcomes, None),
        amounts=_table(pairs.outcomes, pairs.amounts),
        psi=stability_index(one.scores, other.scores),
        thresholds=dict(thresholds),
        labelled=int(np.count_nonzero(pairs.labels != UNKNOWN)),
        frauds=int(np.count_nonzero(pairs.labels == 1)),
        quality=quality(labelled, thresholds),
        notes=notes,
        share=share,
    )


def _model(pairs: Pairs, at: int, version: str, trained: list[float] | None) -> Model:
    counts = np.bincount(pairs.outcomes[:, at], minlength=len(OUTCOMES)).tolist()
    scores = histogram(pairs.scores[:, at], np.ones(len(pairs.scores)))
    return Model(
        version=version,
        outcomes={each.value: count for each, count in zip(OUTCOMES, counts, strict=True)},
        scores=scores,
        block_share=wilson(counts[_BLOCK], len(pairs.scores)),
        psi_of_training=_psi(trained, scores),
    )


def _psi(trained: list[float] | None, scores: list[float]) -> float | None:
    try:
        return stability_index(trained, scores) if trained else None
    except ValueError:  # a card of a program with other bins
        return None


def _table(outcomes: NDArray[np.int8], weights: NDArray[np.float64] | None) -> Counts:
    size = len(OUTCOMES)
    places = outcomes[:, 0].astype(np.intp) * size + outcomes[:, 1]
    sums = np.bincount(places, weights, size * size).reshape(size, size).tolist()
    names = [each.value for each in OUTCOMES]
    rows = (dict(zip(names, map(float, row), strict=True)) for row in sums)
    return dict(zip(names, rows, strict=True))


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(float(seconds), timezone.utc)
