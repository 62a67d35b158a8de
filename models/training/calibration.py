"""Calibration of scores to probabilities: Platt scaling with a prior on "no change".

The slope and the shift are fitted on a few dozen frauds. Without a prior, classes that hardly
overlap would drive the slope to infinity.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from models.scorer import probability
from models.training.rounding import DIGITS

Floats = NDArray[np.float64]

SLOPE_SPREAD = 0.1
SHIFT_SPREAD = 0.5
"""Standard deviations of the normal priors: on the slope around 1, on the shift around 0."""
MIN_SLOPE = 0.1


class Calibration(NamedTuple):
    """A linear map of log-odds: calibrated = slope * raw + shift."""

    slope: float = 1.0
    shift: float = 0.0

    def scores(self, raw: Floats) -> Floats:
        """Return calibrated probabilities."""
        return probability(self.slope * raw + self.shift)


def calibrate(raw: Floats, fraud: NDArray[np.bool_], weight: Floats) -> Calibration:
    """Return the most probable calibration for the raw log-odds of weighted, held-out rows."""
    sign = np.where(fraud, -1.0, 1.0)

    def loss(at: Floats) -> tuple[float, Floats]:
        margin = sign * (at[0] * raw + at[1])
        prior = np.array([(at[0] - 1.0) / SLOPE_SPREAD, at[1] / SHIFT_SPREAD])
        slope = weight * sign * probability(margin)
        gradient = np.array([slope @ raw, slope.sum()])
        gradient += prior / (SLOPE_SPREAD, SHIFT_SPREAD)
        return float(weight @ np.logaddexp(0.0, margin) + 0.5 * prior @ prior), gradient

    def curvature(at: Floats) -> Floats:
        chance = probability(at[0] * raw + at[1])
        spread = weight * chance * (1.0 - chance)
        mixed = spread @ raw
        found: Floats = np.array([[spread @ raw**2, mixed], [mixed, spread.sum()]])
        return found + np.diag([SLOPE_SPREAD**-2, SHIFT_SPREAD**-2])

    bounds = [(MIN_SLOPE, None), (None, None)]
    at = minimize(loss, x0=(1.0, 0.0), jac=True, bounds=bounds).x
    if at[0] > MIN_SLOPE:
        # Newton steps, to all digits except the last: those depend on the processor, and rounding
        # removes them.
        for _ in range(3):
            at = at - np.linalg.solve(curvature(at), loss(at)[1])
    slope, shift = np.round(at, DIGITS).tolist()
    return Calibration(max(slope, MIN_SLOPE), shift)
