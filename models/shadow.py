"""Scores a batch with models that do not decide, and rules it with their scores.

Nothing that such a model does changes a decision but for its own entry in `Decision.shadow`. It
gets the matrix of the model that decides if both see the same features. What lists and rules have
found is taken over as well, unless a rule uses the score, or features of another matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from operator import is_
from typing import NamedTuple

import numpy as np

from models.challenger import Challenger
from models.policies.in_force import InForce
from models.policies.ruling import Found, Ruled
from models.records import Outcome, Shadow, Transaction
from models.schema.features import Matrix
from models.scorer import BatchScorer

Shadows = Sequence[dict[str, Shadow]]
"""By row, what each model says by its version."""


class Batch(NamedTuple):
    """A batch that was decided."""

    transactions: Sequence[Transaction]
    """With the values of profiles."""
    scorer: BatchScorer
    """That of the model that decides."""
    matrix: Matrix
    scores: Sequence[float]
    found: Found
    ruled: Sequence[Ruled]
    now: datetime


def shadows(batch: Batch, policy: InForce) -> Shadows:
    """Return what the challengers of a policy say of each transaction; raises nothing of theirs."""
    decided, said = _decided(batch, policy), None
    for challenger in policy.challengers:
        try:
            rows, entries = _entries(challenger, batch, policy, decided)
        except Exception as exc:  # whatever it raises, the decision is made
            challenger.fail(len(decided), exc)
            continue
        version = challenger.version
        if said is None and len(rows) == len(decided):
            said = [{version: each} for each in entries]
            continue
        said = said or [{} for _ in decided]
        for row, each in zip(rows, entries, strict=True):
            said[row][version] = each
    return said or [{} for _ in decided]


def _entries(
    challenger: Challenger, batch: Batch, policy: InForce, decided: Sequence[Outcome]
) -> tuple[Sequence[int], list[Shadow]]:
    """Return the rows that a challenger has a score for, and what it says of them."""
    scorer, transactions, found = challenger.scorer, batch.transactions, batch.found
    is_alike = scorer.columns == batch.scorer.columns
    matrix = batch.matrix if is_alike else scorer.matrix(transactions)
    rows, scores, error = challenger.score(matrix)
    if error:
        challenger.fail(len(matrix) - len(rows), error)
        transactions, matrix = [transactions[row] for row in rows], matrix[rows]
        decided = [decided[row] for row in rows]
    given = scores.tolist()
    if policy.ruling.uses_score or not is_alike or len(rows) < len(batch.transactions):
        found = policy.look(transactions, given, matrix, batch.now, counted=False)
    outcomes = policy.ruling.outcomes(found, transactions, scores)
    challenger.rows += len(rows)
    challenger.agreed += sum(map(is_, outcomes, decided))
    return rows, [*map(Shadow, given, outcomes)]


def _decided(batch: Batch, policy: InForce) -> Sequence[Outcome]:
    """Return what the model that decides has led to, as that of others is told."""
    if policy.caps.on_all or policy.ruling.policy.explore:
        scores = np.array(batch.scores)
        return policy.ruling.outcomes(batch.found, batch.transactions, scores)
    return [each.outcome for each in batch.ruled]
