"""Decides a batch of transactions with one call of the scorer."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from models.inputs import ValidInput
from models.policies.in_force import InForce
from models.policies.ruling import Ruled
from models.records import Decision, Outcome, Reason, Transaction
from models.schema.features import Matrix
from models.schema.schema import PAYSIM, Schema

MAX_REASONS: Final = 3
"""Reasons of a decision, unless more lists and rules have asked for it."""
MAX_SAID: Final = 10
"""Reasons of lists and rules in a decision, at most; `hits` has all rules."""


class BatchScorer(Protocol):
    """The part of a scorer that deciding calls; `models.scorer.Scorer` implements it."""

    @property
    def version(self) -> str:
        """The model version that every decision names."""

    def matrix(self, transactions: Sequence[Transaction]) -> Matrix:
        """Return the features of transactions, as the model sees them."""

    def score_matrix(self, matrix: Matrix) -> NDArray[np.float64]:
        """Return fraud probabilities in 0..1, shape (n,); no row's depends on other rows."""

    def explain(
        self, transactions: Sequence[Transaction], rows: Sequence[int]
    ) -> list[list[Reason]]:
        """Return up to three reasons for each chosen row's score, the strongest first."""


def decide(
    candidates: Sequence[ValidInput],
    *,
    scorer: BatchScorer,
    policy: InForce,
    now: datetime,
    schema: Schema = PAYSIM,
) -> list[Decision]:
    """Decide each candidate; the decisions are in the same order.

    Transactions that the model approves get no reasons, since explaining costs more than scoring.
    Raises `ValueError` if the model has no score for one of the candidates; see `unscored`.
    """
    transactions = [candidate.transaction for candidate in candidates]
    origins = [candidate.input.origin for candidate in candidates]
    matrix = scorer.matrix(transactions)
    scores = scorer.score_matrix(matrix).tolist()
    ruled = policy.rule(transactions, scores, matrix, now)
    reasons = _reasons(transactions, ruled, scorer, schema)
    model_version, policy_version, ids = scorer.version, policy.version, policy.ruling.ids
    return [
        Decision(
            transaction_id=transaction.transaction_id,
            decision=each.outcome,
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
            hits=ids(each.hits) if each.hits else [],
        )
        for row, (transaction, origin, score, each) in enumerate(
            zip(transactions, origins, scores, ruled, strict=True)
        )
    ]


def unscored(
    candidates: Sequence[ValidInput],
    *,
    scorer: BatchScorer,
    policy: InForce,
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
    ruled: Sequence[Ruled],
    scorer: BatchScorer,
    schema: Schema,
) -> dict[int, list[Reason]]:
    """Return the reasons by row: of lists and rules first, then of the sender, then the model's."""
    said = {row: [*each.reasons[:MAX_SAID]] for row, each in enumerate(ruled) if each.reasons}
    stopped = [row for row, each in enumerate(ruled) if each.outcome is not Outcome.APPROVE]
    if not stopped:
        return said
    explained = scorer.explain(transactions, stopped)
    for row, reasons in zip(stopped, explained, strict=True):
        of_policy = said.get(row, [])
        if schema.is_flagged(transactions[row]):
            of_policy = [*of_policy, schema.flagged_upstream]
        said[row] = [*of_policy, *reasons[: max(0, MAX_REASONS - len(of_policy))]]
    return said
