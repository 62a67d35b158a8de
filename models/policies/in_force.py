"""The policy that decides at present: a ruling, with its lists, its caps and its version."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple

from models.canary import Canary
from models.challenger import Challenger
from models.policies.definition import PolicyFile
from models.policies.ruling import NO_CAPS, Begun, Found, Lists, Ruled, Ruling
from models.policy import Policy
from models.records import Transaction
from models.rules.ruleset import NO_LISTS
from models.schema.features import Matrix
from models.schema.schema import Schema
from models.scorer import BatchScorer


def _no_lists(now: datetime) -> Lists:
    return NO_LISTS


class InForce(NamedTuple):
    """All that decides beside the model."""

    ruling: Ruling
    version: str
    """Names all of it in every decision; two with one name decide alike."""
    lists: Callable[[datetime], Lists] = _no_lists
    """Returns the entries of all lists at a moment: those that `version` names while this is in
    force, and later ones afterwards."""
    caps: Begun = NO_CAPS
    scorer: BatchScorer | None = None
    """That of the model which the policy names; None for the worker's own."""

    challengers: Sequence[Challenger] = ()
    """Those of the models in the policy's `shadow`."""
    canary: Canary | None = None
    """The one of these that decides for some senders."""

    def look(
        self,
        transactions: Sequence[Transaction],
        scores: Sequence[float],
        matrix: Matrix | None,
        now: datetime,
        *,
        counted: bool = True,
    ) -> Found:
        """See `Ruling.look`."""
        return self.ruling.look(
            transactions,
            scores,
            matrix,
            lists=self.lists(now),
            now=now,
            caps=self.caps,
            counted=counted,
        )

    def rule(
        self,
        transactions: Sequence[Transaction],
        scores: Sequence[float],
        matrix: Matrix | None,
        now: datetime,
    ) -> list[Ruled]:
        """See `Ruling.rule`."""
        found = self.look(transactions, scores, matrix, now)
        return self.ruling.by(found, transactions, scores)


def of_thresholds(thresholds: Policy, schema: Schema) -> InForce:
    """Return what decides without a policy: thresholds of the settings."""
    policy = PolicyFile(flag_at=thresholds.flag_at, block_at=thresholds.block_at)
    return InForce(Ruling(policy, schema), thresholds.version)
