"""Compiled trees score as scikit-learn does, and their Shapley values meet the definition."""

from __future__ import annotations

from itertools import permutations
from statistics import fmean

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.ensemble import GradientBoostingClassifier
from sklearn.pipeline import make_pipeline

from models.ensemble import LEAVES, NODES, Trees
from models.training.calibration import Calibration
from models.training.export import exported, float32_at_most, log_odds

values = st.floats(-5.0, 5.0)


@st.composite
def ensembles(draw: st.DrawFn, columns: int = 4) -> Trees:
    """Random trees, some with unused nodes, whose thresholds rows can hit exactly."""
    count = draw(st.integers(1, 3))

    def table(each: st.SearchStrategy[float], width: int) -> list[list[float]]:
        return [draw(st.lists(each, min_size=width, max_size=width)) for _ in range(count)]

    nodes = st.integers(-1, columns - 1)
    return Trees(
        base=draw(values),
        feature=[draw(st.lists(nodes, min_size=NODES, max_size=NODES)) for _ in range(count)],
        threshold=table(st.integers(-2, 2).map(float), NODES),
        leaf=table(values, LEAVES),
        cover=table(st.sampled_from([0.0, 0.0, 1.0, 2.5, 40.0]), LEAVES),
    )


rows = st.lists(st.integers(-3, 3).map(float), min_size=4, max_size=4)


def mean(trees: Trees, tree: int, row: list[float], known: set[int], node: int = 0) -> float:
    """Compute the value of a set of known features by walking the tree."""
    if node >= NODES:
        return float(trees.leaf[tree][node - NODES])
    column = trees.feature[tree][node]
    left = mean(trees, tree, row, known, 2 * node + 1)
    right = mean(trees, tree, row, known, 2 * node + 2)
    if column < 0:
        return left
    if column in known:
        return right if row[column] > trees.threshold[tree][node] else left
    weights = cover(trees, tree, 2 * node + 1), cover(trees, tree, 2 * node + 2)
    share = weights[0] / sum(weights) if sum(weights) else 0.5
    return share * left + (1.0 - share) * right


def cover(trees: Trees, tree: int, node: int) -> float:
    if node >= NODES:
        return float(trees.cover[tree][node - NODES])
    return cover(trees, tree, 2 * node + 1) + cover(trees, tree, 2 * node + 2)


@given(ensembles(), st.lists(rows, min_size=1, max_size=5))
def test_scores_are_what_walking_the_trees_gives(trees: Trees, batch: list[list[float]]) -> None:
    matrix = np.array(batch, dtype=np.float32)
    walked = [
        trees.base + sum(mean(trees, tree, row, {0, 1, 2, 3}) for tree in range(len(trees.leaf)))
        for row in batch
    ]
    np.testing.assert_allclose(trees.compiled(4).log_odds(matrix), walked, atol=1e-12)


@given(ensembles(), rows)
@settings(max_examples=25)
def test_contributions_are_shapley_values_by_their_definition(
    trees: Trees, row: list[float]
) -> None:
    def value(known: set[int]) -> float:
        return sum(mean(trees, tree, row, known) for tree in range(len(trees.leaf)))

    orders = list(permutations(range(4)))
    expected = [
        fmean(
            value({*order[: order.index(column) + 1]}) - value({*order[: order.index(column)]})
            for order in orders
        )
        for column in range(4)
    ]
    model, matrix = trees.compiled(4), np.array([row], dtype=np.float32)
    np.testing.assert_allclose(model.contributions(matrix)[0], expected, atol=1e-9)
    assert model.expected == pytest.approx(trees.base + value(set()), abs=1e-9)


@pytest.mark.parametrize("depth", [1, 2, 3])
@pytest.mark.parametrize("leaf", [1, 30])
def test_exported_trees_equal_scikit_learn(depth: int, leaf: int) -> None:
    rng = np.random.default_rng(depth)
    matrix = rng.integers(-3, 4, (500, 5)).astype(np.float32) / np.float32(7.0)
    label = matrix[:, 0] * matrix[:, 1] + rng.normal(0, 0.1, 500) > 0
    trees = GradientBoostingClassifier(
        loss="exponential", max_depth=depth, min_samples_leaf=leaf, n_estimators=13, random_state=1
    )
    pipeline = make_pipeline(trees).fit(matrix, label)
    calibration = Calibration(0.8, -0.3)
    model = exported(pipeline, calibration).compiled(5)
    reference = 0.8 * log_odds(pipeline, matrix) - 0.3
    np.testing.assert_allclose(model.log_odds(matrix), reference, rtol=0, atol=1e-12)


@given(st.floats(-1e30, 1e30), st.integers(-2, 2))
def test_a_rounded_threshold_divides_float32_numbers_as_the_original(
    threshold: float, ulps: int
) -> None:
    value = np.float32(threshold)
    for _ in range(abs(ulps)):
        value = np.nextafter(value, np.float32(np.copysign(np.inf, ulps)))
    assert (float(value) <= float32_at_most(threshold)) == (float(value) <= threshold)


def test_deeper_trees_are_refused() -> None:
    rng = np.random.default_rng(1)
    matrix, label = rng.normal(size=(500, 3)), rng.random(500) < 0.5
    trees = GradientBoostingClassifier(loss="exponential", max_depth=4, n_estimators=2)
    with pytest.raises(ValueError, match="deeper"):
        exported(make_pipeline(trees).fit(matrix, label), Calibration())


SOUND = Trees(
    base=0.0,
    feature=[[0, 1, -1, 2, 3, -1, -1]],
    threshold=[[0.0] * NODES],
    leaf=[[0.0] * LEAVES],
    cover=[[1.0] * LEAVES],
)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"feature": []}, "threshold is not 0"),
        ({"feature": [], "threshold": [], "leaf": [], "cover": []}, "no trees"),
        ({"feature": [[4] * NODES]}, "not one of the 4"),
        ({"feature": [[-2] * NODES]}, "not one of the 4"),
        ({"leaf": [[0.0] * 7]}, "leaf is not 1 x 8"),
        ({"cover": [[1.0] * 8] * 2}, "cover is not 1 x 8"),
        ({"cover": [[-1.0] * 8]}, "cover is negative"),
        ({"leaf": [[float("inf")] * 8]}, "not finite"),
        ({"base": float("nan")}, "not finite"),
    ],
)
def test_tables_that_do_not_fit_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        msgspec.structs.replace(SOUND, **change).compiled(4)
