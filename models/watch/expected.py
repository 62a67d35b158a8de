"""What is expected of the rows that a model scores, by its card: those of its training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from itertools import pairwise
from math import inf, isfinite
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta, Struct, field

from models.drift import EDGES

ON_CARD: Final = "watch"
"""Where the training of a card has `Learned`. Cards of earlier versions do not have it."""
MAX_EDGES: Final = 32
_DIGEST: Final = 12
_Share = Annotated[float, Meta(ge=0.0, le=1.0)]


class Bins(Struct, frozen=True):
    """The values of a feature in a handful of bins."""

    edges: Annotated[list[float], Meta(max_length=MAX_EDGES)]
    """Between the bins, ascending; a value on an edge is in the bin above it."""
    shares: list[_Share]
    """Of the rows: those without a value, then those in each bin from the lowest on."""
    wandering: Annotated[float, Meta(ge=0.0)] = 0.0
    """The largest population stability index (PSI) between a part of the training, in order of
    time, and all of it: features may wander with time, as balances do that grow."""

    def __post_init__(self) -> None:
        """Raise `ValueError` if these are no bins."""
        if not all(map(isfinite, self.edges)) or any(a >= b for a, b in pairwise(self.edges)):
            raise ValueError("edges of bins must be finite and ascend")
        if len(self.shares) != len(self.edges) + 2 or not sum(self.shares) > 0.0:
            raise ValueError("there must be a share for missing values and for each bin")


class Learned(Struct, frozen=True):
    """What training learns of its rows for those to come."""

    rows: Annotated[float, Meta(gt=0.0)]
    """For how many independent rows they stand, since some weigh more than others."""
    score: Annotated[float, Meta(ge=0.0, le=1.0)]
    """Their mean score."""
    features: dict[str, Bins]
    """By feature, in the order of the model's matrix."""


class Expected(Struct, frozen=True):
    """What is expected of rows."""

    rows: float
    """For how many independent rows it was learned on."""
    scores: list[float]
    """The share in each bin of `models.drift.EDGES`."""
    score: float | None = None
    """The mean score; None if the card does not say it."""
    features: dict[str, Bins] = field(default_factory=dict)
    """By feature, in the order of the matrix; empty if the card has no bins."""

    def above(self, edge: float) -> float:
        """Return the share of rows with a score from `edge` on, which is one of the `EDGES`."""
        return sum(self.scores[EDGES.index(edge) + 1 :])

    @property
    def bins(self) -> str:
        """A name of the bins: cells can be added up if theirs are the same; empty without bins."""
        if not self.features:
            return ""
        edges = {name: each.edges for name, each in self.features.items()}
        return sha256(msgspec.json.encode(edges)).hexdigest()[:_DIGEST]


def scores_by(training: Mapping[str, Any]) -> list[float] | None:
    """Return the weight of the training in each bin of scores, by a card; None if it has none."""
    try:
        scores = msgspec.convert(training.get("score_histogram"), list[float])
    except msgspec.ValidationError:
        return None
    if training.get("score_edges") != list(EDGES) or len(scores) != len(EDGES) + 1:
        return None
    return scores if 0.0 < sum(scores) < inf and min(scores) >= 0.0 else None


def expected_by(training: Mapping[str, Any], names: Sequence[str]) -> Expected | None:
    """Return what is expected by what a card says of its training; None if it does not say it.

    `names` are the features of the model.
    """
    scores = scores_by(training)
    try:
        rows = msgspec.convert(training.get("rows"), float)
    except msgspec.ValidationError:
        return None
    if scores is None or not rows > 0.0:
        return None
    total = sum(scores)
    shares = [each / total for each in scores]
    try:
        learned = msgspec.convert(training.get(ON_CARD), Learned)
    except msgspec.ValidationError:
        return Expected(rows, shares)
    if [*learned.features] != [*names]:
        return Expected(rows, shares)
    return Expected(learned.rows, shares, learned.score, learned.features)
