"""Calibration corrects a bias that the data shows, and otherwise changes nothing."""

from __future__ import annotations

import numpy as np
import pytest

from models.scorer import probability
from models.training.calibration import Calibration, calibrate

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("slope", "shift"), [(1.0, 0.0), (0.8, 1.0), (1.25, -1.5)])
def test_a_distortion_is_undone_given_enough_rows(slope: float, shift: float) -> None:
    rng = np.random.default_rng(1)
    raw = rng.normal(-3.0, 3.0, 200_000)
    fraud = rng.random(raw.size) < probability(slope * raw + shift)
    found = calibrate(raw, fraud, np.ones(raw.size))
    assert found.slope == pytest.approx(slope, abs=0.05)
    assert found.shift == pytest.approx(shift, abs=0.1)
    assert found.scores(raw).sum() == pytest.approx(fraud.sum(), rel=0.02)


def test_a_handful_of_frauds_cannot_run_away_with_the_slope() -> None:
    raw = np.array([-8.0] * 1000 + [5.0] * 5)  # separated: the likelihood alone has no maximum
    found = calibrate(raw, raw > 0, np.ones(raw.size))
    assert 0.9 < found.slope < 1.3
    assert abs(found.shift) < 1.0


def test_order_is_never_reversed() -> None:
    raw = np.linspace(-5.0, 5.0, 1000)
    found = calibrate(raw, raw < 0, np.ones(raw.size))
    assert found.slope > 0.0


def test_a_weight_counts_as_so_many_rows() -> None:
    rng = np.random.default_rng(2)
    raw = rng.normal(-2.0, 2.0, 5_000)
    fraud = rng.random(raw.size) < probability(raw + 1.0)
    weight = rng.integers(1, 4, raw.size)
    repeated = np.repeat(raw, weight), np.repeat(fraud, weight), np.ones(weight.sum())
    np.testing.assert_allclose(
        calibrate(raw, fraud, weight.astype(float)), calibrate(*repeated), atol=1e-4
    )


def test_by_default_nothing_changes() -> None:
    assert Calibration().scores(np.array([0.0])).tolist() == [0.5]


def test_last_digits_of_the_log_odds_do_not_matter() -> None:
    rng = np.random.default_rng(3)
    raw = rng.normal(-3.0, 3.0, 20_000)
    fraud = rng.random(raw.size) < probability(0.9 * raw + 0.3)
    found = {
        calibrate(
            raw * (1.0 + rng.integers(-8, 9, raw.size) * np.finfo(float).eps),
            fraud,
            np.full(raw.size, 21.2),
        )
        for _ in range(10)
    }
    assert len(found) == 1
