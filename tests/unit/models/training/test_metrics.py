"""Metrics agree with scikit-learn where it has them, and a weight counts as so many rows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from sklearn.metrics import average_precision_score, brier_score_loss

from models.training.dataset import Labelled
from models.training.metrics import (
    at_threshold,
    average_precision,
    costs,
    metrics,
    precision_at_daily,
    recall_at_precision,
)

pytestmark = pytest.mark.slow

judged = st.lists(
    st.tuples(st.booleans(), st.sampled_from([0.0, 0.1, 0.5, 0.8, 0.9, 1.0]), st.integers(1, 3)),
    min_size=1,
    max_size=40,
)


def rows(fraud: ArrayLike, weight: ArrayLike, step: list[int] | None = None) -> Labelled:
    count = len(np.asarray(fraud))
    return Labelled(
        np.zeros((count, 12), dtype=np.float32),
        np.array(fraud),
        np.array(weight, dtype=float),
        np.array(step or [1] * count),
        np.full(count, 100.0),
        np.array(fraud),
    )


@given(judged)
def test_average_precision_is_scikit_learns(given_rows: list[tuple[bool, float, int]]) -> None:
    fraud, scores, weight = map(np.array, zip(*given_rows, strict=True))
    assume(fraud.any())
    expected = average_precision_score(fraud, scores, sample_weight=weight)
    assert average_precision(fraud, scores, weight.astype(float)) == pytest.approx(expected)


@given(judged)
def test_a_weight_counts_as_so_many_rows(given_rows: list[tuple[bool, float, int]]) -> None:
    fraud, scores, weight = map(np.array, zip(*given_rows, strict=True))
    assume(fraud.any())
    weighted = metrics(rows(fraud, weight), scores)
    repeated = metrics(
        rows(np.repeat(fraud, weight), [1.0] * weight.sum()), np.repeat(scores, weight)
    )
    for name in set(weighted) - {"rows", "frauds", "steps", "thresholds", "fraud_rate"}:
        if not name.endswith("a_day"):  # rows of one score may be cut off in another order
            assert weighted[name] == pytest.approx(repeated[name]), name


def test_brier_and_thresholds_by_hand() -> None:
    some = rows([True, False, True, False], [1.0, 2.0, 1.0, 2.0])
    scores = np.array([0.9, 0.85, 0.6, 0.1])
    report = metrics(some, scores)
    assert (report["precision_block"], report["recall_block"]) == pytest.approx((1 / 3, 0.5))
    assert (report["precision_flag"], report["recall_flag"]) == pytest.approx((0.5, 1.0))
    assert report["sum_p_over_sum_y"] == pytest.approx((0.9 + 1.7 + 0.6 + 0.2) / 2)
    expected = brier_score_loss([1, 0, 1, 0], scores, sample_weight=[1, 2, 1, 2])
    assert report["brier"] == pytest.approx(expected)
    assert report["money_blocked"] == 100.0
    assert report["money_missed"] == 100.0
    assert report["money_wrongly_held"] == 200.0
    assert report["drain_rule_average_precision"] == 1.0


def test_a_tie_at_the_threshold_is_caught() -> None:
    assert at_threshold(rows([True], [1.0]), np.array([0.8]), 0.8) == (1.0, 1.0)


def test_nothing_caught_has_precision_zero() -> None:
    assert at_threshold(rows([True], [1.0]), np.array([0.1]), 0.8) == (0.0, 0.0)


def test_recall_at_precision_takes_the_best_threshold() -> None:
    some, scores = rows([True, False, True, True], [1.0] * 4), np.array([0.9, 0.8, 0.7, 0.6])
    assert recall_at_precision(some, scores, 0.75) == 1.0
    assert recall_at_precision(some, scores, 0.9) == pytest.approx(1 / 3)
    assert recall_at_precision(rows([False, True], [1.0, 1.0]), np.array([1.0, 0.0]), 0.9) == 0.0


def test_precision_a_day_is_the_mean_over_days() -> None:
    some = rows([True, False, True, True], [1.0] * 4, [1, 24, 25, 26])
    scores = np.array([0.9, 0.8, 0.7, 0.6])
    assert precision_at_daily(some, scores, 1) == 1.0
    assert precision_at_daily(some, scores, 2) == 0.75


def test_a_threshold_costs_the_fraud_below_it_and_the_alarms_above() -> None:
    some, scores = rows([True, False], [1.0, 2.0]), np.array([0.4, 0.6])
    grid = np.array([0.1, 0.4, 0.5, 0.9])
    assert costs(some, scores, grid, alarm_cost=10.0).tolist() == [30.0, 30.0, 120.0, 100.0]
