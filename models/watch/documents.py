"""What the watch tells."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from models.counts import Count

Kind = Literal["feature", "scores", "high_scores", "certainty", "blocks", "precision"]
"""What an alarm is about: the values of a feature, the scores in all, how many of them are high,
how many are high of those that are not low, what is blocked, and what labels say of that."""
AtLeast0 = Annotated[float, Meta(ge=0)]


class Alarm(Struct, frozen=True, kw_only=True):
    """Something that has changed by more than chance."""

    kind: Kind
    feature: str = ""
    """Its name, of the kind `feature`."""
    model: str = ""
    """The model version; empty where it is about all of them."""
    day: str
    """The day that it was found on, in UTC; of labels, the day that it is told on."""
    since: str
    """The first of the days without a break on which it was found."""
    expected: float
    observed: float
    says: str
    """What has changed, and by how much."""
    advice: str
    """What to do."""


class HighScores(Struct, frozen=True, kw_only=True):
    """Scores from an edge on."""

    edge: Annotated[float, Meta(ge=0, le=1)]
    observed: Count
    by_training: AtLeast0
    """Expected by their share in the training data."""
    by_scores: AtLeast0 | None
    """Expected by the sum of all scores; None if the card of the model is too old to tell."""


class WatchedDay(Struct, frozen=True, kw_only=True):
    """A day of a model."""

    day: str
    """In UTC."""
    rows: Count
    flags: Count
    blocks: Count
    unjudged: str
    """Why it is not judged, or which part of it is not; empty if it is."""
    scores: AtLeast0 | None = None
    """Population stability index (PSI) of the scores against those of the training data."""
    features: dict[str, AtLeast0] = {}
    """The PSI of each feature."""
    high: list[HighScores] = []


class WatchedModel(Struct, frozen=True, kw_only=True):
    """What one model has scored."""

    model: str
    days: list[WatchedDay]
    """The newest first."""


class Watched(Struct, frozen=True, kw_only=True):
    """Whether models see what they were trained on, and find what they found there."""

    at: AtLeast0
    """Time of the answer, seconds since 1970."""
    alarms: list[Alarm]
    models: list[WatchedModel]
