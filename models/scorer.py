"""Scores a whole batch of transactions in one call, and explains scores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from models.records import Reason, Transaction
from models.schema.features import Features, Matrix
from models.schema.reasons import Weighed
from models.schema.schema import PAYSIM, Schema

Floats = NDArray[np.float64]


class CompiledModel(Protocol):
    """A model in the form that scores; each kind of model has an implementation."""

    @property
    def expected(self) -> float:
        """The expected log-odds, before any feature of a row is known."""

    def log_odds(self, matrix: Matrix) -> Floats:
        """Return raw scores in log-odds, (n,)."""

    def contributions(self, matrix: Matrix) -> Floats:
        """Return each feature's contribution, (n, features).

        `expected` plus a row's contributions is its raw score.
        """


class BatchScorer(Protocol):
    """The part of a scorer that deciding calls; `Scorer` implements it."""

    @property
    def version(self) -> str:
        """The model version that every decision names."""

    @property
    def columns(self) -> str:
        """Names the features as the model sees them: two of one name have equal matrices."""

    def matrix(self, transactions: Sequence[Transaction]) -> Matrix:
        """Return the features of transactions, as the model sees them."""

    def score_matrix(self, matrix: Matrix) -> Floats:
        """Return fraud probabilities in 0..1, shape (n,); no row's depends on other rows."""

    def explain(
        self, transactions: Sequence[Transaction], rows: Sequence[int]
    ) -> list[list[Reason]]:
        """Return up to three reasons for each chosen row's score.

        Those that raise the risk come first, the strongest of them before the others.
        """


class Explained(NamedTuple):
    """A score in full: `base` and the contributions of all `reasons` add up to `log_odds`."""

    score: float
    log_odds: float
    base: float
    """The expected log-odds, before anything of the transaction is known."""
    reasons: list[Weighed]
    """Those that raise the risk, then those that lower it, the strongest of each first."""


class Scorer:
    """A trained model, ready to serve. It is immutable."""

    def __init__(
        self,
        version: str,
        model: CompiledModel,
        schema: Schema = PAYSIM,
        features: Features | None = None,
    ) -> None:
        """`features` are those of the schema with what training has learned."""
        self.version = version
        self._model = model
        self.schema = schema
        self.features = features or schema.features
        self.columns = f"{schema.contract}/{self.features.learned_digest}"

    def score(self, transactions: Sequence[Transaction]) -> Floats:
        """Return probabilities of fraud, float64 in 0..1, shape (n,), in the order given.

        A row's score does not depend on its neighbours. Raises `ValueError` for numbers and types
        that parsing refuses, and for a score that is not a number.
        """
        return self.score_matrix(self.matrix(transactions))

    def matrix(self, transactions: Sequence[Transaction]) -> Matrix:
        """Return the features of transactions, as the model sees them; raises `ValueError`."""
        return self.features.matrix(transactions)

    def score_matrix(self, matrix: Matrix) -> Floats:
        """The same for rows whose features are computed already."""
        return probability(self._model.log_odds(matrix))

    def explain(
        self, transactions: Sequence[Transaction], rows: Sequence[int]
    ) -> list[list[Reason]]:
        """Return up to three reasons for each of the chosen rows; see `Reasons.strongest`.

        Contributions are in log-odds of fraud: positive ones raise the probability.
        """
        chosen = [transactions[row] for row in rows]
        if not chosen:
            return []
        matrix, reasons = self.features.matrix(chosen), self.schema.reasons
        amounts = reasons.grouped(self._model.contributions(matrix)).tolist()
        return [
            reasons.strongest(*each) for each in zip(chosen, matrix.tolist(), amounts, strict=True)
        ]

    def explained(self, transaction: Transaction) -> Explained:
        """Return the score of a transaction with all that it is made of.

        `transaction` has its values of profiles: see `Schema.facts`. Raises `ValueError` like
        `matrix`, and for a score that is not a number.
        """
        matrix, reasons = self.features.matrix([transaction]), self.schema.reasons
        log_odds = self._model.log_odds(matrix)
        contributions = reasons.grouped(self._model.contributions(matrix))[0].tolist()
        return Explained(
            float(probability(log_odds)[0]),
            float(log_odds[0]),
            self._model.expected,
            reasons.weighed(transaction, matrix[0].tolist(), contributions),
        )


def probability(log_odds: Floats) -> Floats:
    """The logistic function; raises `ValueError` if the result is not a number.

    Log-odds are clipped at +-40, where the probability is 1 - 4e-18: beyond, exp could overflow.
    """
    # For a single row, np.clip takes several times as long.
    clipped = np.maximum(np.minimum(log_odds, 40.0), -40.0)
    scores: Floats = 1.0 / (1.0 + np.exp(-clipped))
    if not (scores <= 1.0).all():
        raise ValueError("the model returned a score that is not a number")
    return scores
