"""Decides a batch of transactions with one call of the scorer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.inputs import ValidInput
from models.policy import Policy
from models.records import Decision, Outcome, Reason, Transaction
from models.schema.schema import PAYSIM, Schema


class BatchScorer(Protocol):
    """The part of a scorer that deciding calls; `models.scorer.Scorer` implements it."""

    @property
    def version(self) -> str:
        """The model version that every decision names."""

    def score(self, transactions: Sequence[Transaction]) -> NDArray[np.float64]:
        """Return fraud probabilities in 0..1, shape (n,); no row's depends on other rows."""

    def explain(
        self, transactions: Sequence[Transaction], rows: Sequence[int]
    ) -> list[list[Reason]]:
        """Return up to three reasons for each chosen row's score, the strongest first."""


def decide(
    candidates: Sequence[ValidInput],
    *,
    scorer: BatchScorer,
    policy: Policy,
    now: datetime,
    schema: Schema = PAYSIM,
) -> list[Decision]:
    """Decide each candidate; the decisions are in the same order.

    Approved transactions get no reasons, since explaining costs more than scoring. Raises
    `ValueError` if the model has no score for one of the candidates; see `unscored`.
    """
    transactions = [candidate.transaction for candidate in candidates]
    origins = [candidate.input.origin for candidate in candidates]
    scores = scorer.score(transactions).tolist()
    flagged = [*map(schema.is_flagged, transactions)]
    outcomes = [
        policy.decide(score, flagged_upstream=flag)
        for flag, score in zip(flagged, scores, strict=True)
    ]
    reasons = _reasons(transactions, outcomes, flagged, scorer, schema)
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
            schema_version=schema.version,
        )
        for row, (transaction, origin, score, outcome) in enumerate(
            zip(transactions, origins, scores, outcomes, strict=True)
        )
    ]


def unscored(
    candidates: Sequence[ValidInput],
    *,
    scorer: BatchScorer,
    policy: Policy,
    now: datetime,
    schema: Schema = PAYSIM,
) -> dict[str, str]:
    """Return why candidates have no score, by id, after `decide` has raised on all of them."""
    found = {}
    for each in candidates:
        try:
            decide([each], scorer=scorer, policy=policy, now=now, schema=schema)
        except ValueError as exc:
            found[each.transaction.transaction_id] = f"{scorer.version}: {exc}"
    return found


def _reasons(
    transactions: Sequence[Transaction],
    outcomes: Sequence[Outcome],
    flagged: Sequence[bool],
    scorer: BatchScorer,
    schema: Schema,
) -> dict[int, list[Reason]]:
    stopped = [row for row, outcome in enumerate(outcomes) if outcome is not Outcome.APPROVE]
    if not stopped:
        return {}
    explained = scorer.explain(transactions, stopped)
    return {
        row: [schema.flagged_upstream, *reasons][:3] if flagged[row] else reasons
        for row, reasons in zip(stopped, explained, strict=True)
    }
