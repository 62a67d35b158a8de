"""What is told of the quality of decisions."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from models.counts import Count
from models.policies.intervals import Share

Part = Annotated[float, Meta(ge=0, le=1)]


class OutcomeQuality(Struct, frozen=True, kw_only=True):
    """Decisions of one outcome."""

    rows: Count
    explored: Count
    """Those of the control group: the model would have blocked them."""
    frauds: Count
    legitimate: Count
    expected: Part | None
    """Mean score: the share of frauds to be expected, if scores are calibrated."""
    observed: Share | None
    """Share of frauds in what is labelled; of `BLOCK` this is the precision."""
    fraud_amounts: dict[str, int]
    """Sum of the amounts of frauds in smallest units, by currency; "" where they have none."""


class ControlGroup(Struct, frozen=True, kw_only=True):
    """What the model alone would have blocked, and was let through."""

    rows: Count
    frauds: Count
    legitimate: Count
    observed: Share | None
    """Share of frauds in what is labelled of them: the precision of the model's blocks."""
    recall: Share | None
    """Estimated share of the frauds that the model blocks: each of these stands for `1 / explore`.
    What lists and rules block is left out."""


class Measured(Struct, frozen=True, kw_only=True):
    """What is known of some decisions."""

    rows: Count
    outcomes: dict[str, OutcomeQuality]
    """By outcome."""
    recall_block: Share | None
    """Share of the labelled frauds that were blocked."""
    recall_stopped: Share | None
    """Share of the labelled frauds that were blocked or flagged."""
    false_positives: Share | None
    """Share of the labelled legitimate ones that were blocked."""
    control: ControlGroup | None
    """None without a control group."""


class VersionQuality(Struct, frozen=True, kw_only=True):
    """What one model has decided under one policy."""

    model: str
    policy: str
    """Its number; thresholds of the settings as they are named."""
    measured: Measured


class RuleQuality(Struct, frozen=True, kw_only=True):
    """What one rule has hit, in test too."""

    rule: str
    rows: Count
    frauds: Count
    legitimate: Count
    observed: Share | None
    """Share of frauds in what is labelled of its hits."""
    recall: Share | None
    """Share of the labelled frauds that it has hit."""


class Maturity(Struct, frozen=True, kw_only=True):
    """How many of the labels can have come; None without decisions."""

    decided: Part | None
    """Share of the decisions that were made on days which ended `mature_days` ago or before."""
    labelled: Annotated[float, Meta(ge=0)] | None
    """Share of the decisions that have a label."""


class Period(Struct, frozen=True, kw_only=True):
    """A week, or all of them."""

    week: str | None
    """Its Monday, in UTC; None for all."""
    maturity: Maturity
    measured: Measured
    versions: list[VersionQuality]
    rules: list[RuleQuality]


class DecisionQuality(Struct, frozen=True, kw_only=True):
    """How good decisions were."""

    at: float
    """Time of the answer, seconds since 1970."""
    mature_days: int
    amount_unit: float
    """The smallest unit of amounts."""
    total: Period
    """All weeks that are told of."""
    mature: Period
    """Those of them whose decisions are all mature."""
    weeks: list[Period]
    """The newest first."""
