"""A batch of transactions in, a batch of decisions out: one scoring call for all of them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.inputs import ValidInput
from models.policy import FLAGGED_UPSTREAM, Policy
from models.records import Decision, Outcome, Reason, Transaction


class BatchScorer(Protocol):
    """What deciding needs of a model."""

    @property
    def version(self) -> str:
        """Name of the model in every decision."""

    def score(self, transactions: Sequence[Transaction]) -> NDArray[np.float64]:
        """Fraud probabilities, shape (n,), each in 0..1; a row's does not depend on the others."""

    def explain(
        self, transactions: Sequence[Transaction], rows: Sequence[int]
    ) -> list[list[Reason]]:
        """Up to three reasons for the scores of the chosen rows, strongest first."""


def decide(
    candidates: Sequence[ValidInput], *, scorer: BatchScorer, policy: Policy, now: datetime
) -> list[Decision]:
    """Decide each candidate, in their order.

    Only what is not approved gets reasons of the model: they cost more than the score. Raises
    `ValueError` if the model has no score for one of them; see `unscored`.
    """
    transactions = [candidate.transaction for candidate in candidates]
    origins = [candidate.input.origin for candidate in candidates]
    scores = scorer.score(transactions).tolist()
    outcomes = [
        policy.decide(score, flagged_upstream=transaction.isFlaggedFraud == 1)
        for transaction, score in zip(transactions, scores, strict=True)
    ]
    reasons = _reasons(transactions, outcomes, scorer)
    model_version, policy_version = scorer.version, policy.version
    return [
        Decision(
            transaction_id=transaction.transaction_id,
            decision=outcome,
            score=score,
            reasons=reasons.get(row, []),
            model_version=model_version,
            policy_version=policy_version,
            decided_at=now,
            topic=origin.topic,
            partition=origin.partition,
            offset=origin.offset,
            transaction=transaction,
        )
        for row, (transaction, origin, score, outcome) in enumerate(
            zip(transactions, origins, scores, outcomes, strict=True)
        )
    ]


def unscored(
    candidates: Sequence[ValidInput], *, scorer: BatchScorer, policy: Policy, now: datetime
) -> dict[str, str]:
    """Why candidates cannot be decided, by id; for when `decide` has raised: each goes alone."""
    found = {}
    for each in candidates:
        try:
            decide([each], scorer=scorer, policy=policy, now=now)
        except ValueError as exc:
            found[each.transaction.transaction_id] = f"{scorer.version}: {exc}"
    return found


def _reasons(
    transactions: Sequence[Transaction], outcomes: Sequence[Outcome], scorer: BatchScorer
) -> dict[int, list[Reason]]:
    stopped = [row for row, outcome in enumerate(outcomes) if outcome is not Outcome.APPROVE]
    if not stopped:
        return {}
    explained = scorer.explain(transactions, stopped)
    return {
        row: [FLAGGED_UPSTREAM, *reasons][:3] if transactions[row].isFlaggedFraud else reasons
        for row, reasons in zip(stopped, explained, strict=True)
    }
