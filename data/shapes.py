"""Distributions of the simulated economy: amounts, frequencies and times, with their sources.

"Measured" means an aggregate over the published PaySim data set (Lopez-Rojas, Elmir, Axelsson:
"PaySim: a financial mobile money simulator for fraud detection", EMSS 2016). Legitimate amounts and
balances are drawn from Weibull distributions: the logarithm of a Weibull variable has the fixed
skew -1.14, in the middle of the -0.7 to -1.5 that was measured, where a lognormal has none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

EULER_GAMMA = 0.5772156649
TRANSFER_LIMIT = 10_000_000.0  # measured: no fraud moves more; larger legitimate transfers exist
MAX_AMOUNT = 92_000_000.0  # measured: about the largest legitimate transfer


@dataclass(frozen=True)
class Weibull:
    """A Weibull distribution; `scale` in account currency."""

    shape: float
    scale: float

    @classmethod
    def from_log_moments(cls, mean: float, deviation: float) -> Weibull:
        """Return the distribution whose logarithm has this mean and standard deviation.

        For Weibull X: sd(ln X) = pi / (shape * sqrt 6), E(ln X) = ln scale - gamma / shape.
        """
        shape = math.pi / (deviation * math.sqrt(6.0))
        return cls(shape, math.exp(mean + EULER_GAMMA / shape))

    @classmethod
    def from_median(cls, median: float, shape: float) -> Weibull:
        """Return the distribution with this median."""
        return cls(shape, median / math.log(2.0) ** (1.0 / shape))

    def draw(self, rng: np.random.Generator, count: int) -> Floats:
        """Draw `count` independent amounts, account currency."""
        return self.scale * rng.weibull(self.shape, count)


@dataclass(frozen=True)
class TypeShape:
    """Distributions of the legitimate transactions of one type."""

    share: float
    """Share of all legitimate transactions."""
    amount: Weibull
    origin_empty: float
    """Share of origins whose balance is zero before the transaction."""


# Measured: share, mean and deviation of the log amount, share of empty origins.
TYPE_SHAPES = {
    "CASH_OUT": TypeShape(0.352, Weibull.from_log_moments(11.68, 1.07), 0.46),
    "PAYMENT": TypeShape(0.342, Weibull.from_log_moments(8.97, 1.20), 0.36),
    "CASH_IN": TypeShape(0.218, Weibull.from_log_moments(11.67, 1.06), 0.01),
    "TRANSFER": TypeShape(0.082, Weibull.from_log_moments(13.00, 1.27), 0.54),
    "DEBIT": TypeShape(0.0065, Weibull.from_log_moments(7.76, 1.30), 0.12),
}

# Measured: the median non-zero origin balance is 22,000-36,000, with a long lower tail.
ORDINARY_BALANCE = Weibull.from_median(30_000.0, shape=0.6)
# Measured: CASH_IN origins have a median of 1.2 million and a 95th percentile of 14.7 million,
# and two humps: here a share of rich accounts (lognormal) over the ordinary ones.
RICH_SHARE = 0.55
RICH_BALANCE_LOG = (math.log(4_000_000.0), 1.0)

# Measured: the 99th percentile of a legitimate TRANSFER is 9.8 million where its body alone would
# give 3 million: a few are drawn from a truncated Pareto distribution instead.
LARGE_TRANSFER_SHARE = 0.025
LARGE_TRANSFER_FROM = 2_000_000.0
LARGE_TRANSFER_EXPONENT = 0.75
# Assumed: three in ten senders of large transfers can afford them, as companies do.
LARGE_TRANSFER_COVERED = 0.3

# Measured: fraud amounts have quartiles near 91,000, 360,000 and 1,270,000. A Weibull variable with
# shape 0.6 has just these ratios.
VICTIM_BALANCE = Weibull.from_median(380_000.0, shape=0.6)
# Measured: a few percent of the victims hold more than the limit of a transfer.
RICH_VICTIM_SHARE = 0.04
RICH_VICTIM_LOG = (math.log(11_000_000.0), 0.6)

# Measured: 4.2 million rows go to 0.57 million C accounts; about 11% of them find it empty and the
# median balance found is 0.6 million (it grows with what the account receives).
ROWS_PER_DESTINATION = 7.3
DESTINATION_EMPTY_AT_START = 0.3
DESTINATION_BALANCE_LOG = (math.log(150_000.0), 1.3)
# Measured: money from fraud is cashed out through an account without a balance in 29%.
EXCHANGE_EMPTY = 0.25
# Measured: old + amount = new holds in 86-90% of C destinations; the others show money that other
# transactions moved meanwhile.
DESTINATION_BUSY = 0.12

# Measured: nearly no traffic in hours 1-6, the peak near 18. Relative volume by hour of the day.
HOURLY_VOLUME = np.array(
    (
        *(1.5, 0.4, 0.1, 0.04, 0.03, 0.04, 0.1, 0.5, 1.5, 5.5, 6.5, 6.5),
        *(7.0, 7.0, 6.5, 6.5, 7.0, 7.5, 8.5, 9.5, 7.5, 5.0, 3.5, 2.5),
    )
)
"""Index 0 is midnight; only ratios matter."""


def amounts(kind: str, rng: np.random.Generator, count: int) -> Floats:
    """Draw legitimate amounts of one transaction type, account currency, before rounding."""
    drawn = TYPE_SHAPES[kind].amount.draw(rng, count)
    if kind == "TRANSFER":
        large = rng.random(count) < LARGE_TRANSFER_SHARE
        drawn = np.where(large, _large_transfers(rng, count), drawn)
    return drawn


def origin_balances(kind: str, rng: np.random.Generator, count: int) -> Floats:
    """Draw balances of legitimate origins before a transaction of this type, before rounding."""
    drawn = ORDINARY_BALANCE.draw(rng, count)
    if kind == "CASH_IN":
        rich = rng.random(count) < RICH_SHARE
        drawn = np.where(rich, rng.lognormal(*RICH_BALANCE_LOG, count), drawn)
    return np.where(rng.random(count) < TYPE_SHAPES[kind].origin_empty, 0.0, drawn)


def victim_balances(rng: np.random.Generator, count: int) -> Floats:
    """Draw balances of the victims of fraud, before rounding."""
    rich = rng.random(count) < RICH_VICTIM_SHARE
    ordinary = VICTIM_BALANCE.draw(rng, count)
    return np.where(rich, rng.lognormal(*RICH_VICTIM_LOG, count), ordinary)


def destination_balances(rng: np.random.Generator, count: int) -> Floats:
    """Draw balances of C destinations at the start of the simulation, before rounding."""
    drawn = rng.lognormal(*DESTINATION_BALANCE_LOG, count)
    return np.where(rng.random(count) < DESTINATION_EMPTY_AT_START, 0.0, drawn)


def _large_transfers(rng: np.random.Generator, count: int) -> Floats:
    """Draw from a Pareto distribution truncated at `MAX_AMOUNT`, by inverting its CDF."""
    tail = (LARGE_TRANSFER_FROM / MAX_AMOUNT) ** LARGE_TRANSFER_EXPONENT
    uniform = 1.0 - rng.random(count) * (1.0 - tail)
    drawn: Floats = LARGE_TRANSFER_FROM * uniform ** (-1.0 / LARGE_TRANSFER_EXPONENT)
    return drawn
