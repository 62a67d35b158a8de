"""How surprising counts are: bounds on the probability of what is at least as far off.

A surprise is the negative natural logarithm of such a bound, and 0 for what was to be expected. The
bounds hold for any number of rows, so none of them takes a quiet day for a shift.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

LIMIT: Final = -math.log(1e-6)
"""A surprise above which something has changed. Some thirty checks of a model, made on each of 365
days, are then wrong once in a century."""
LEAST_SHARE: Final = 1e-4
"""The least share that is expected of a bin: one that had no rows may have some."""


def of_count(count: float, expected: float, spread: float) -> float:
    """Return the surprise of a count, by Chernoff's bound on the negative binomial distribution.

    That is a Poisson count whose mean varies itself from day to day: `spread` is the standard
    deviation of it, as a share of the mean.
    """
    if not expected > 0.0 or count == expected:
        return 0.0
    if not spread > 0.0:
        return expected - count + _times_log(count, count / expected)
    shape = 1.0 / spread**2
    return _times_log(count, count / expected) - (count + shape) * math.log(
        (count + shape) / (expected + shape)
    )


def of_share(part: float, whole: float, expected: float) -> float:
    """Return the surprise of `part` of `whole` rows, by Chernoff's bound on the binomial."""
    share, expected = part / whole, min(max(expected, LEAST_SHARE), 1.0 - LEAST_SHARE)
    other = _times_log(1.0 - share, (1.0 - share) / (1.0 - expected))
    return whole * (_times_log(share, share / expected) + other)


def of_histogram(counts: Sequence[float], shares: Sequence[float], rows: float) -> float:
    """Return the surprise of a histogram where `shares` are expected.

    `rows` is for how many independent ones the counts stand. The bound is Agrawal's on the
    Kullback-Leibler divergence of k bins, exp(-nD) (e nD / (k-1))^(k-1) ("Finite-sample
    concentration of the multinomial in relative entropy", IEEE Transactions on Information Theory
    66, 2020).
    """
    expected = np.maximum(np.asarray(shares, dtype=np.float64), LEAST_SHARE)
    found = np.asarray(counts, dtype=np.float64) / float(np.sum(counts))
    there = found > 0.0
    ratio = found[there] / (expected / expected.sum())[there]
    apart, free = rows * float(np.sum(found[there] * np.log(ratio))), len(expected) - 1
    if apart <= free:
        return 0.0
    return apart - free * (1.0 + math.log(apart / free))


def _times_log(factor: float, ratio: float) -> float:
    return factor * math.log(ratio) if factor > 0.0 else 0.0
