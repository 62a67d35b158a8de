"""Measures are those of the textbook, and intervals hold what they promise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.comparing.quality import LEAST_FRAUDS, Labelled, quality
from models.training.metrics import average_precision

THRESHOLDS = {"flag": 0.5, "block": 0.8}


def rows(seed: int, *, loss: float = 0.0, n: int = 1_000) -> Labelled:
    """Rows whose frauds have high scores; those of the other model are blurred by `loss`."""
    random = np.random.default_rng(seed)
    fraud = random.random(n) < 0.1
    one = np.clip(0.7 * fraud + 0.5 * random.random(n), 0, 1)
    noise = random.random(n)
    return Labelled(np.stack([one, (1 - loss) * one + loss * noise], 1), fraud, np.ones(n))


@given(st.integers(0, 2**32), st.integers(0, 4))
def test_average_precision_is_that_of_training(seed: int, digits: int) -> None:
    given_ = rows(seed, loss=0.5, n=300)
    scores = given_.scores.round(digits)  # with many that are equal
    weights = np.random.default_rng(seed).integers(1, 4, len(scores)).astype(float)
    found = quality(Labelled(scores, given_.fraud, weights), THRESHOLDS, draws=1)
    if int(given_.fraud.sum()) < LEAST_FRAUDS:
        assert found == {}
        return
    for place, name in enumerate(("one", "other")):
        value = getattr(found["average_precision"], name).value
        assert value == pytest.approx(
            average_precision(given_.fraud, scores[:, place], weights), abs=1e-12
        )


def test_precision_recall_and_calibration_by_hand() -> None:
    scores = np.array([0.9, 0.9, 0.6, 0.6, 0.1, 0.1, 0.95, 0.85])
    fraud = np.array([1, 0, 1, 1, 1, 0, 1, 1], bool)
    weights = np.array([1.0, 2, 1, 1, 1, 1, 1, 1])
    found = quality(Labelled(np.stack([scores, 1 - scores], 1), fraud, weights), THRESHOLDS)
    values = {name: each.one.value for name, each in found.items() if each.one}
    assert values["precision_block"] == pytest.approx(3 / 5)
    assert values["recall_block"] == pytest.approx(3 / 6)
    assert values["precision_flag"] == pytest.approx(5 / 7)
    assert values["recall_flag"] == pytest.approx(5 / 6)
    assert values["calibration"] == pytest.approx(float(scores @ weights) / 6)


def test_what_is_not_defined_is_none() -> None:
    given_ = rows(1)
    found = quality(given_._replace(scores=given_.scores / 10), THRESHOLDS)
    assert found["precision_block"].one is found["precision_block"].difference is None
    assert found["recall_block"].one is not None


def test_equal_rows_have_equal_intervals_and_equal_models_no_difference() -> None:
    found = quality(rows(1, loss=0.3), THRESHOLDS)
    assert quality(rows(1, loss=0.3), THRESHOLDS) == found
    same = quality(rows(1), THRESHOLDS)["average_precision"].difference
    assert same is not None
    assert (same.value, same.low, same.high) == (0, 0, 0)


def test_a_worse_model_is_told_from_one_that_is_worse_by_chance() -> None:
    """Of pairs that differ by chance alone, about two of a hundred seem to be worse."""
    worse, chance = 0, 0
    for seed in range(20):
        blurred = quality(rows(seed, loss=0.4), THRESHOLDS, draws=60)["average_precision"]
        worse += blurred.difference is not None and blurred.difference.high < 0
        given_ = rows(seed, loss=0.2, n=1_000)
        other = rows(seed + 1_000, loss=0.2, n=1_000)
        fraud = given_.fraud
        noise = np.where(fraud, 0.7, 0.0) + 0.5 * np.random.default_rng(seed + 7).random(1_000)
        both = np.stack([given_.scores[:, 0], np.clip(noise, 0, 1)], 1)
        alike = quality(Labelled(both, fraud, other.weights), THRESHOLDS, draws=60)
        difference = alike["average_precision"].difference
        chance += difference is not None and difference.high < 0
    assert worse == 20
    assert chance <= 3


def test_of_few_frauds_nothing_is_said() -> None:
    given_ = rows(1)
    few = np.zeros(len(given_.fraud), bool)
    few[: LEAST_FRAUDS - 1] = True
    assert quality(given_._replace(fraud=few), THRESHOLDS) == {}
