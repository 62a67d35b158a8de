"""Transactions that two models have scored: one of them decided, or both were in its shadow."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.activity import OUTCOMES
from models.policies.exploring import EXPLORED, is_of_model
from models.policies.ruling import CAPPED
from models.records import Decision, Outcome, Shadow, Transaction
from models.schema.schema import Schema

UNKNOWN: Final = -1
"""The label of a transaction of which nobody knows what it was."""
_PLACES: Final = {outcome.value: place for place, outcome in enumerate(OUTCOMES)}
_LET_THROUGH: Final = (CAPPED.code, EXPLORED.code)
_LEAST_SHARE: Final = 2.0**-32
"""The least share of a control group: see `models.policies.exploring`."""


class Pairs(NamedTuple):
    """Columns of one length n, and for each row what both models say: (n, 2)."""

    scores: NDArray[np.float64]
    outcomes: NDArray[np.int8]
    """Places in `OUTCOMES`."""
    amounts: NDArray[np.float64]
    """0 if unknown."""
    at: NDArray[np.float64]
    """Seconds since 1970."""
    labels: NDArray[np.int8]
    """1 for fraud, 0 for none, or `UNKNOWN`."""
    weights: NDArray[np.float64]
    """How many transactions a row stands for where labels are counted."""


class Blocked(NamedTuple):
    """Mature blocks of the one that decided which are no others' doing."""

    all: int
    unlabelled: int
    """Those without a label, for which no control group stands."""


class Gathering:
    """Takes decisions in, each id once, and keeps those on which both models have said something.

    Of mature decisions, labels have had the time to come: without one, what went through was
    legitimate, and of what was blocked nobody knows. Those of the control group stand for all that
    the model blocks under their policy, each for as many as its share says; so labelled blocks of
    the model under that policy count nowhere else. A transaction that comes labelled as fraud is
    one, unless a label says otherwise.
    """

    def __init__(self, one: str, other: str, schema: Schema, mature_until: datetime) -> None:
        """`one` and `other` are versions; decisions up to `mature_until` are mature."""
        self.lacking = 0
        """Decisions that one of both models decided or was in shadow of, and the other not."""
        self.of_other_schemas = 0
        self.blocked = Blocked(0, 0)
        """Known once `pairs` has returned."""
        self._versions = one, other
        self._schema, self._until = schema, mature_until
        self._label = schema.of_role("label")
        self._amount: Callable[[Transaction], Any] = schema.amount
        self._rows: list[tuple[Any, ...]] = []
        self._parts: list[NDArray[np.float64]] = []
        self._policies: dict[str, int] = {}

    def add(self, decisions: Sequence[Decision], told: Mapping[str, int]) -> None:
        """Take decisions in; `told` has the labels by id."""
        for each in decisions:
            said = [_said(each, version) for version in self._versions]
            one, other = said
            if one is None or other is None:
                self.lacking += one is not None or other is not None
            elif each.schema_version != self._schema.version:
                self.of_other_schemas += 1
            else:
                self._rows.append(self._row(each, one, other, told.get(each.transaction_id)))
        if self._rows:
            self._parts.append(np.array(self._rows, np.float64))
            self._rows = []

    def pairs(self) -> Pairs:
        """Return what was kept so far, in the order of the decisions' times."""
        table = np.concatenate([np.empty((0, 10)), *self._parts])
        table = table[np.argsort(table[:, 5], kind="stable")]
        labels, share, policy, by_model = table[:, 6], table[:, 7], table[:, 8], table[:, 9]
        weights = 1.0 / np.where(share > 0.0, np.maximum(share, _LEAST_SHARE), 1.0)
        exploring = np.unique(policy[share > 0.0])
        stood_for = (by_model > 0.0) & np.isin(policy, exploring)
        unlabelled = (by_model > 0.0) & (labels == UNKNOWN) & ~stood_for
        self.blocked = Blocked(int((by_model > 0.0).sum()), int(unlabelled.sum()))
        return Pairs(
            table[:, :2].copy(),
            table[:, 2:4].astype(np.int8),
            table[:, 4].copy(),
            table[:, 5].copy(),
            np.where(stood_for, UNKNOWN, labels).astype(np.int8),
            weights,
        )

    def _row(
        self, decision: Decision, one: Shadow, other: Shadow, told: int | None
    ) -> tuple[Any, ...]:
        transaction, label = decision.transaction, told
        if label is None and self._label(transaction):
            label = 1
        is_blocked = decision.decision is Outcome.BLOCK
        is_mature = decision.decided_at <= self._until
        if not is_mature or (label is None and is_blocked):
            label = UNKNOWN
        policy = decision.policy_version.partition("+")[0]
        return (
            one.score,
            other.score,
            _PLACES[one.decision.value],
            _PLACES[other.decision.value],
            self._amount(transaction) or 0.0,
            decision.decided_at.astimezone(timezone.utc).timestamp(),
            label or 0,
            decision.explored,
            self._policies.setdefault(policy, len(self._policies)),
            is_mature and is_of_model(decision),
        )


def _said(decision: Decision, version: str) -> Shadow | None:
    """Return what a model says of a transaction, without the cap on all and `explore`."""
    if decision.model_version != version:
        return decision.shadow.get(version)
    outcome = decision.decision
    if outcome is Outcome.FLAG and decision.reasons and decision.reasons[0].code in _LET_THROUGH:
        outcome = Outcome.BLOCK
    return Shadow(decision.score, outcome)
