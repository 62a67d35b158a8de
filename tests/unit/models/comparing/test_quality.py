"""Measures are those of the textbook, and intervals hold what they promise."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.comparing.quality import LEAST_FRAUDS, Labelled, _cells, quality
from models.training.metrics import average_precision

THRESHOLDS = {"flag": 0.5, "block": 0.8}


def rows(seed: int, *, loss: float = 0.0, n: int = 1_000) -> Labelled:
    """Rows whose frauds have high scores; those of the other model are blurred by `loss`."""
    random = np.random.default_rng(seed)
    fraud = random.random(n) < 0.1
    one = np.clip(0.7 * fraud + 0.5 * random.random(n), 0, 1)
    noise = random.random(n)
    return Labelled(
        np.stack([one, (1 - loss) * one + loss * noise], 1), fraud.astype(np.int8), np.ones(n)
    )


@given(st.integers(0, 2**32), st.integers(0, 4))
def test_average_precision_is_that_of_training(seed: int, digits: int) -> None:
    given_ = rows(seed, loss=0.5, n=300)
    scores = given_.scores.round(digits)  # with many that are equal
    weights = np.random.default_rng(seed).integers(1, 4, len(scores)).astype(float)
    found = quality(Labelled(scores, given_.labels, weights), THRESHOLDS, draws=1)
    if int(given_.labels.sum()) < LEAST_FRAUDS:
        assert found == {}
        return
    for place, name in enumerate(("one", "other")):
        value = getattr(found["average_precision"], name).value
        assert value == pytest.approx(
            average_precision(given_.labels == 1, scores[:, place], weights), abs=1e-12
        )


def test_precision_recall_and_calibration_by_hand() -> None:
    scores = np.array([0.9, 0.9, 0.6, 0.6, 0.1, 0.1, 0.95, 0.85])
    labels = np.array([1, 0, 1, 1, 1, 0, 1, 1], np.int8)
    weights = np.array([1.0, 2, 1, 1, 1, 1, 1, 1])
    found = quality(Labelled(np.stack([scores, 1 - scores], 1), labels, weights), THRESHOLDS)
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
        labels = given_.labels
        noise = np.where(labels == 1, 0.7, 0.0) + 0.5 * np.random.default_rng(seed + 7).random(
            1_000
        )
        both = np.stack([given_.scores[:, 0], np.clip(noise, 0, 1)], 1)
        alike = quality(Labelled(both, labels, other.weights), THRESHOLDS, draws=60)
        difference = alike["average_precision"].difference
        chance += difference is not None and difference.high < 0
    assert worse == 20
    assert chance <= 3


def test_of_few_frauds_nothing_is_said() -> None:
    given_ = rows(1)
    few = np.zeros(len(given_.labels), np.int8)
    few[: LEAST_FRAUDS - 1] = 1
    assert quality(given_._replace(labels=few), THRESHOLDS) == {}


@given(st.integers(0, 2**32), st.integers(0, 3), st.integers(1, 400))
def test_cells_are_those_of_all_rows_at_once(seed: int, digits: int, at_once: int) -> None:
    """Rows are looked at in parts, and nothing may depend on which."""
    random = np.random.default_rng(seed)
    given_ = rows(seed, loss=0.5, n=300)
    labels = np.where(random.random(300) < 0.2, np.int8(-1), given_.labels)
    given_ = Labelled(given_.scores.round(digits), labels, random.choice([1.0, 7.0, 12.5], 300))
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("models.comparing.quality._ROWS", at_once)
        found = _cells(given_, [0.5, 0.8])
    wanted = plain_cells(given_, [0.5, 0.8])
    for name, other in zip(found._fields, wanted, strict=True):
        assert np.array_equal(getattr(found, name), other)


def plain_cells(given_: Labelled, thresholds: list[float]) -> tuple[Any, ...]:
    """The cells by a loop over rows, in the order of levels, label and weight."""
    known = given_.labels >= 0
    fraud = given_.labels == 1
    cuts = [sorted({*given_.scores[fraud, at].tolist(), *thresholds}) for at in (0, 1)]
    cells: dict[tuple[Any, ...], list[Any]] = {}
    columns = (given_.scores[known].tolist(), fraud[known].tolist(), given_.weights[known].tolist())
    for scores, is_fraud, weight in zip(*columns, strict=True):
        levels = tuple(bisect_right(cuts[at], scores[at]) for at in (0, 1))
        cell = cells.setdefault((levels, is_fraud, weight), [0, 0.0, 0.0])
        cells[levels, is_fraud, weight] = [cell[0] + 1, cell[1] + scores[0], cell[2] + scores[1]]
    found = sorted(cells.items())
    return (
        [key[0] for key, _ in found],
        [float(key[1]) for key, _ in found],
        [key[2] for key, _ in found],
        [count for _, (count, *_) in found],
        [[one / count, other / count] for _, (count, one, other) in found],
        [[bisect_right(each, at) for at in thresholds] for each in cuts],
    )
