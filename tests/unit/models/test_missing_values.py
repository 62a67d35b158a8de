"""A missing value takes the side that a tree's node names, and is the mean to a linear model."""

from __future__ import annotations

import math
from itertools import permutations
from pathlib import Path
from statistics import fmean

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudapp.model_registry import ModelRegistry
from models.ensemble import LEAVES, NODES, Trees
from models.linear import Linear
from tests.unit.models.test_ensemble import SOUND, cover, ensembles

COLUMNS = 4
ALL = set(range(COLUMNS))
numbers = st.sampled_from([math.nan, math.nan, math.inf, -math.inf, *map(float, range(-3, 4))])
rows = st.lists(numbers, min_size=COLUMNS, max_size=COLUMNS)


@st.composite
def with_sides(draw: st.DrawFn) -> Trees:
    """Random trees; some say nothing of missing values."""
    trees = draw(ensembles(COLUMNS))
    sides = st.lists(st.booleans(), min_size=NODES, max_size=NODES)
    count = len(trees.leaf)
    missing_left = draw(st.just([]) | st.lists(sides, min_size=count, max_size=count))
    return msgspec.structs.replace(trees, missing_left=missing_left)


def mean(trees: Trees, tree: int, row: list[float], known: set[int], node: int = 0) -> float:
    """Compute the value of a set of known features by walking the tree."""
    if node >= NODES:
        return float(trees.leaf[tree][node - NODES])
    column, children = trees.feature[tree][node], (2 * node + 1, 2 * node + 2)
    if column < 0:
        return mean(trees, tree, row, known, children[0])
    if column in known:
        right = row[column] > trees.threshold[tree][node]
        if math.isnan(row[column]):
            right = not (trees.missing_left and trees.missing_left[tree][node])
        return mean(trees, tree, row, known, children[right])
    left, right_weight = (cover(trees, tree, child) for child in children)
    total = left + right_weight
    share = left / total if total else 0.5
    values = [mean(trees, tree, row, known, child) for child in children]
    return share * values[0] + (1.0 - share) * values[1]


def walked(trees: Trees, row: list[float], known: set[int]) -> float:
    return sum(mean(trees, tree, row, known) for tree in range(len(trees.leaf)))


@given(with_sides(), st.lists(rows, min_size=2, max_size=6))
def test_scores_are_what_walking_the_trees_gives(trees: Trees, batch: list[list[float]]) -> None:
    matrix = np.array(batch, dtype=np.float32)
    expected = [trees.base + walked(trees, row, ALL) for row in batch]
    np.testing.assert_allclose(trees.compiled(COLUMNS).log_odds(matrix), expected, atol=1e-12)


@given(with_sides(), st.lists(rows, min_size=2, max_size=6))
def test_a_row_alone_scores_as_in_a_batch_to_the_last_bit(
    trees: Trees, batch: list[list[float]]
) -> None:
    model, matrix = trees.compiled(COLUMNS), np.array(batch, dtype=np.float32)
    alone = [model.log_odds(matrix[at : at + 1])[0] for at in range(len(batch))]
    assert model.log_odds(matrix).tolist() == alone
    parts = [model.contributions(matrix[at : at + 1])[0].tolist() for at in range(len(batch))]
    assert model.contributions(matrix).tolist() == parts


@given(with_sides(), rows)
@settings(max_examples=25)
def test_contributions_are_shapley_values_by_their_definition(
    trees: Trees, row: list[float]
) -> None:
    orders = list(permutations(range(COLUMNS)))
    expected = [
        fmean(
            walked(trees, row, {*order[: order.index(column) + 1]})
            - walked(trees, row, {*order[: order.index(column)]})
            for order in orders
        )
        for column in range(COLUMNS)
    ]
    model, matrix = trees.compiled(COLUMNS), np.array([row], dtype=np.float32)
    np.testing.assert_allclose(model.contributions(matrix)[0], expected, atol=1e-9)


@given(with_sides(), st.lists(rows, min_size=1, max_size=4))
def test_the_leaves_are_those_whose_values_are_added(
    trees: Trees, batch: list[list[float]]
) -> None:
    model, matrix = trees.compiled(COLUMNS), np.array(batch, dtype=np.float32)
    ends = model.leaves(matrix)
    added = [sum(trees.leaf[t][leaf] for t, leaf in enumerate(row)) for row in ends.tolist()]
    np.testing.assert_allclose(model.log_odds(matrix), np.array(added) + trees.base, atol=1e-12)


@given(with_sides())
def test_a_stored_ensemble_is_read_as_it_was(trees: Trees) -> None:
    content = msgspec.json.encode(trees)
    assert msgspec.json.decode(content, type=Trees) == trees
    assert (b"missing_left" in content) == bool(trees.missing_left)


def test_an_ensemble_without_sides_is_stored_as_before_there_were_any() -> None:
    assert msgspec.json.decode(msgspec.json.encode(SOUND)) == {
        "type": "trees",
        "base": 0.0,
        "feature": SOUND.feature,
        "threshold": SOUND.threshold,
        "leaf": SOUND.leaf,
        "cover": SOUND.cover,
    }


@pytest.mark.parametrize("sides", [[[True] * 6], [[True] * NODES] * 2, [[]]])
def test_sides_that_do_not_fit_are_refused(sides: list[list[bool]]) -> None:
    with pytest.raises(ValueError, match="missing_left is not 1 x 7"):
        msgspec.structs.replace(SOUND, missing_left=sides).compiled(COLUMNS)


def test_an_unused_node_sends_missing_values_left_too() -> None:
    trees = msgspec.structs.replace(
        SOUND,
        feature=[[-1] * NODES],
        leaf=[[float(leaf) for leaf in range(LEAVES)]],
        missing_left=[[False] * NODES],
    )
    missing = np.full((1, COLUMNS), np.nan, dtype=np.float32)
    assert trees.compiled(COLUMNS).log_odds(missing).tolist() == [0.0]


@given(
    st.lists(st.tuples(st.floats(-5, 5), st.floats(-5, 5)), min_size=COLUMNS, max_size=COLUMNS),
    rows.filter(lambda row: not any(map(math.isinf, row))),
)
def test_a_missing_value_is_the_mean_to_a_linear_model(
    parts: list[tuple[float, float]], row: list[float]
) -> None:
    weight, mean_of = [w for w, _ in parts], [m for _, m in parts]
    model = Linear(expected=0.25, weight=weight, mean=mean_of).compiled(COLUMNS)
    matrix = np.array([row], dtype=np.float32)
    expected = [0.0 if math.isnan(x) else w * (x - m) for x, (w, m) in zip(row, parts, strict=True)]
    assert model.contributions(matrix)[0].tolist() == pytest.approx(expected, abs=1e-12)
    assert model.log_odds(matrix)[0] == pytest.approx(0.25 + sum(expected), abs=1e-9)


def test_a_value_that_is_infinite_is_not_taken_for_missing() -> None:
    model = Linear(expected=0.0, weight=[0.0], mean=[0.0]).compiled(1)
    with np.errstate(invalid="ignore"):
        assert np.isnan(model.log_odds(np.array([[np.inf]], dtype=np.float32))).all()


@pytest.mark.slow
def test_the_sample_trains_the_version_that_the_documents_name(trained_models: Path) -> None:
    version = ModelRegistry(trained_models).active()
    assert version == "gradient_boosting-9f070de6d0d2b4df"
