"""A logistic regression, stored as one weight per feature; a missing one is taken for its mean."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from models.schema.features import Matrix

MAX_NUMBER = 1e30
"""The same limit as in `models.ensemble`."""

Floats = NDArray[np.float64]


class Linear(Struct, frozen=True, tag="linear"):
    """The model as it is stored: log-odds = expected + sum of weight * (feature - mean)."""

    expected: float
    """Log-odds of a row whose every feature is at its mean."""
    weight: list[float]
    """Log-odds per unit of the feature."""
    mean: list[float]
    """Mean of the feature over the training rows."""

    def check(self, columns: int) -> None:
        """Raise `ValueError` unless there is one finite weight and mean for each feature."""
        if not len(self.weight) == len(self.mean) == columns:
            raise ValueError(f"there are not {columns} weights and means")
        numbers = [self.expected, *self.weight, *self.mean]
        if not (np.abs(numbers) <= MAX_NUMBER).all():  # NaN fails this too
            raise ValueError(f"a number is not finite, or beyond {MAX_NUMBER:g}")

    def compiled(self, columns: int) -> CompiledLinear:
        """Compile the model into the form that scores; raises as `check` does."""
        return CompiledLinear(self, columns)


class CompiledLinear:
    """A linear model that scores, with its weights as arrays."""

    def __init__(self, linear: Linear, columns: int) -> None:
        linear.check(columns)
        self.expected = linear.expected
        self._weight = np.array(linear.weight)
        self._mean = np.array(linear.mean)

    def log_odds(self, matrix: Matrix) -> Floats:
        """Return raw scores, float64 of shape (n,)."""
        # A sum instead of a matrix product: BLAS adds in an order that depends on the number of
        # rows, and a row's score must not depend on the others.
        raw: Floats = self.contributions(matrix).sum(axis=1) + self.expected
        return raw

    def contributions(self, matrix: Matrix) -> Floats:
        """Return Shapley values for independent features, in log-odds, (n, features).

        Those of missing features (NaN) are 0.
        """
        centred: Floats = np.ascontiguousarray(matrix, dtype=np.float64) - self._mean
        centred[np.isnan(centred)] = 0.0
        centred *= self._weight
        return centred
