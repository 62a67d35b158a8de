"""A model that scores beside the one that decides, and what has come of it in this process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from models.schema.features import Matrix
from models.scorer import BatchScorer, Floats

MAX_FAILURES: Final = 32
"""Rows of a batch without a score, after which the rest of it is not tried."""


class Challenger:
    """A scorer with counts that only grow; they are for people, and decide nothing."""

    def __init__(self, scorer: BatchScorer) -> None:
        self.scorer = scorer
        self.rows = 0
        """Transactions that it has scored."""
        self.agreed = 0
        """Those of them on which the model that decides leads to the same outcome."""
        self.failures = 0
        """Transactions for which it had no score."""
        self.problem = ""
        """Why it had none the last time; empty if it always had one."""

    @property
    def version(self) -> str:
        """The model version."""
        return self.scorer.version

    def fail(self, count: int, error: Exception) -> None:
        """Count transactions for which it had no score."""
        self.failures += count
        self.problem = f"{type(error).__name__}: {error}"

    def score(self, matrix: Matrix) -> tuple[Sequence[int], Floats, Exception | None]:
        """Return the rows that it has a score for, these scores, and why it lacks others.

        It counts nothing. A row that fails costs no other its score, up to `MAX_FAILURES`.
        """
        try:
            return range(len(matrix)), self._scores(matrix), None
        except Exception as exc:  # it may be about one row
            return self._one_by_one(matrix, exc)

    def _scores(self, matrix: Matrix) -> Floats:
        scores = self.scorer.score_matrix(matrix)
        if scores.shape != (len(matrix),) or not ((scores >= 0.0) & (scores <= 1.0)).all():
            raise ValueError("it returned a score that is not from 0 to 1")
        return scores

    def _one_by_one(
        self, matrix: Matrix, error: Exception
    ) -> tuple[Sequence[int], Floats, Exception]:
        scores = np.full(len(matrix), np.nan)
        failed = 0
        waiting = [(0, len(matrix))]
        while waiting and failed < MAX_FAILURES:
            begin, end = waiting.pop()
            middle = (begin + end) // 2
            for part in ((begin, middle), (middle, end)) if end - begin > 1 else ():
                try:
                    found = self._scores(matrix[slice(*part)])
                except Exception as exc:
                    error = exc
                    if part[1] - part[0] > 1:
                        waiting.append(part)
                    else:
                        failed += 1
                else:
                    scores[slice(*part)] = found
        rows = np.flatnonzero(~np.isnan(scores)).tolist()
        return rows, scores[rows], error
