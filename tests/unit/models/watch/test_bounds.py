"""Surprises are bounds: what is as far off is never more probable than they say."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from models.watch.bounds import LIMIT, of_count, of_histogram, of_share

means = st.floats(0.01, 5_000.0)
counts = st.integers(0, 20_000)


def tail(distribution: object, count: int, mean: float) -> float:
    """The probability of a count that is as far off, on its side."""
    at_least = float(distribution.sf(count - 1))  # type: ignore[attr-defined]
    return at_least if count > mean else float(distribution.cdf(count))  # type: ignore[attr-defined]


@given(count=counts, mean=means)
def test_the_surprise_of_a_count_bounds_poissons_tail(count: int, mean: float) -> None:
    assert tail(stats.poisson(mean), count, mean) <= math.exp(-of_count(count, mean, 0.0)) + 1e-9


@given(count=counts, mean=means, spread=st.floats(0.02, 2.0))
def test_it_bounds_the_tail_where_the_mean_varies(count: int, mean: float, spread: float) -> None:
    shape = 1 / spread**2
    distribution = stats.nbinom(shape, shape / (shape + mean))
    bound = math.exp(-of_count(count, mean, spread))
    assert tail(distribution, count, mean) <= bound + 1e-9


@given(count=counts, mean=means, spread=st.floats(0.02, 2.0))
def test_a_mean_that_varies_makes_less_of_a_surprise(
    count: int, mean: float, spread: float
) -> None:
    assert -1e-6 <= of_count(count, mean, spread) <= of_count(count, mean, 0.0) + 1e-6


@given(whole=st.integers(1, 2_000), part=st.floats(0, 1), expected=st.floats(0.001, 0.999))
def test_the_surprise_of_a_share_bounds_its_tail(whole: int, part: float, expected: float) -> None:
    count = round(part * whole)
    bound = math.exp(-of_share(count, whole, expected))
    assert tail(stats.binom(whole, expected), count, whole * expected) <= bound + 1e-9


@pytest.mark.parametrize("rows", [20, 50, 200, 1_000])
def test_the_surprise_of_a_histogram_is_rarer_than_it_says(rows: int) -> None:
    """Simulated, with a limit that is passed often enough to be counted."""
    shares = np.array([0.5, 0.25, 0.125, 0.1, 0.0245, 0.0005])
    drawn = np.random.default_rng(rows).multinomial(rows, shares, 20_000)
    found = [of_histogram(each, shares.tolist(), rows) for each in drawn.tolist()]
    assert np.mean([each > 3.0 for each in found]) < math.exp(-3.0)
    assert max(found) < LIMIT


def test_what_is_expected_is_no_surprise() -> None:
    assert of_count(7.0, 7.0, 0.3) == 0.0
    assert of_count(3.0, 0.0, 0.3) == 0.0
    assert of_histogram([25, 75], [0.25, 0.75], 100.0) == 0.0
    assert of_share(25, 100, 0.25) == pytest.approx(0.0)


def test_what_is_far_off_is_one() -> None:
    assert of_count(0, 100.0, 0.2) > LIMIT
    assert of_count(1_000, 100.0, 0.2) > LIMIT
    assert of_histogram([900, 100], [0.5, 0.5], 1_000.0) > LIMIT
    assert of_share(10, 100, 0.9) > LIMIT
