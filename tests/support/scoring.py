"""A model of which only the name is looked at."""

from __future__ import annotations

from collections.abc import Sequence

from models.records import Reason, Transaction
from models.schema.features import Matrix
from models.schema.schema import PAYSIM
from models.scorer import Floats


class Named:
    """A scorer that is asked for nothing but its version."""

    columns = "of a test"

    def __init__(self, version: str) -> None:
        self.version = version

    def matrix(self, transactions: Sequence[Transaction]) -> Matrix:
        """See `BatchScorer.matrix`."""
        return PAYSIM.features.matrix(transactions)

    def score_matrix(self, matrix: Matrix) -> Floats:
        """Never called."""
        raise AssertionError(self.version)

    def explain(
        self, transactions: Sequence[Transaction], rows: Sequence[int]
    ) -> list[list[Reason]]:
        """Never called."""
        raise AssertionError(self.version)
