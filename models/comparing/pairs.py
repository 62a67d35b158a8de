"""Transactions that two models have scored: one of them decided, or both were in its shadow."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.activity import OUTCOMES
from models.comparing.table import Table
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
_ROW: Final = np.dtype(
    [
        ("scores", np.float64, (2,)),  # thresholds decide on scores, so none is rounded
        ("amounts", np.float64),
        ("at", np.float64),
        ("groups", np.int32),  # of policy and `explored`, as they are numbered
        ("outcomes", np.int8, (2,)),
        ("labels", np.int8),
        ("by_model", np.bool_),
        ("outlived", np.uint8),
    ]
)
BYTES: Final = 100
"""Memory for each decision, at most, until two models are compared: with its id, and the bootstrap.

41 of them are the row here. Measured, by the growth of the resident set: 204 MB for 2,000,000 rows,
458 MB for 5,000,000.
"""


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
        self.blocked = Blocked(0, 0)
        """Known once `pairs` has returned."""
        self._versions = one, other
        self._schema, self._until = schema, mature_until
        self._label = schema.of_role("label")
        self._amount: Callable[[Transaction], Any] = schema.amount
        self._table, self._halved = Table(_ROW), 0
        self._groups: dict[tuple[str, float], int] = {}
        self._lacking, self._of_other_schemas = Counter[int](), Counter[int]()

    @property
    def lacking(self) -> int:
        """Decisions that one of both models decided or was in shadow of, and the other not."""
        return self._count(self._lacking)

    @property
    def of_other_schemas(self) -> int:
        """Decisions on which both have a score, by another schema."""
        return self._count(self._of_other_schemas)

    def add(
        self, decisions: Sequence[Decision], told: Mapping[str, int], outlived: Sequence[int]
    ) -> None:
        """Take decisions in, with the halvings that each id outlives; `told` has labels by id."""
        rows = []
        for each, halvings in zip(decisions, outlived, strict=True):
            one, other = (_said(each, version) for version in self._versions)
            if one is None or other is None:
                self._lacking[halvings] += one is not None or other is not None
            elif each.schema_version != self._schema.version:
                self._of_other_schemas[halvings] += 1
            else:
                label = told.get(each.transaction_id)
                rows.append((*self._row(each, one, other, label), halvings))
        self._table.append(np.array(rows, _ROW))

    def halve(self, times: int) -> None:
        """Keep, and count, only decisions that outlive so many halvings."""
        self._halved = times
        self._table.keep("outlived", times)

    def pairs(self) -> Pairs:
        """Return what was kept so far, in the order of the decisions' times."""
        table = self._table
        table.sort("at")
        groups, by_model = table.column("groups"), table.column("by_model")
        labels = table.column("labels")
        shares = np.array([share for _, share in self._groups], np.float64)
        weights = 1.0 / np.where(shares > 0.0, np.maximum(shares, _LEAST_SHARE), 1.0)
        stood_for = by_model & self._is_exploring(groups)[groups]
        unlabelled = by_model & (labels == UNKNOWN) & ~stood_for
        self.blocked = Blocked(int(by_model.sum()), int(unlabelled.sum()))
        return Pairs(
            table.column("scores"),
            table.column("outcomes"),
            table.column("amounts"),
            table.column("at"),
            np.where(stood_for, np.int8(UNKNOWN), labels),
            weights[groups],
        )

    def _is_exploring(self, groups: NDArray[np.int32]) -> NDArray[np.bool_]:
        """Return of each group whether any row is of the control group of its policy."""
        rows = np.bincount(groups, minlength=len(self._groups))
        counted = zip(self._groups, rows, strict=True)
        exploring = {policy for (policy, share), count in counted if share > 0.0 and count}
        return np.array([policy in exploring for policy, _ in self._groups], np.bool_)

    def _count(self, by_halvings: Mapping[int, int]) -> int:
        return sum(count for each, count in by_halvings.items() if each >= self._halved)

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
        group = decision.policy_version.partition("+")[0], decision.explored
        return (
            (one.score, other.score),
            self._amount(transaction) or 0.0,
            decision.decided_at.astimezone(timezone.utc).timestamp(),
            self._groups.setdefault(group, len(self._groups)),
            (_PLACES[one.decision.value], _PLACES[other.decision.value]),
            label or 0,
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
