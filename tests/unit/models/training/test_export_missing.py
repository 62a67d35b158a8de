"""What is exported of a pipeline that takes missing features scores as scikit-learn does."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.artifact import Kind
from models.ensemble import LEAVES, Trees
from models.schema.definition import ID, Definition, Feature, Field
from models.schema.features import Matrix
from models.schema.schema import PAYSIM
from models.training.calibration import Calibration
from models.training.estimators import has_missing, missing_estimator
from models.training.export import exported, log_odds
from models.training.rounding import rounded
from tests.unit.models.conftest import KINDS

COLUMNS = 5
CALIBRATION = Calibration(0.8, -0.3)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """Several threads wait for each other where processors are busy."""
    with threadpool_limits(1):
        yield


def drawn(seed: int, count: int = 2_000) -> tuple[Matrix, Any, Any]:
    """Rows of which much is missing, labels that depend on what is, and weights."""
    rng = np.random.default_rng(seed)
    matrix = rng.integers(-3, 4, (count, COLUMNS)).astype(np.float32) / np.float32(7.0)
    matrix[:, 3] = np.where(rng.random(count) < 0.5, np.nan, 1.0)  # only missing or not
    matrix[:, 4] = np.nan
    matrix[:, :3][rng.random((count, 3)) < 0.2] = np.nan
    odds = np.nan_to_num(matrix[:, 0], nan=0.4) * 6.0 + 2.0 * np.isnan(matrix[:, 3]) - 2.0
    return matrix, rng.random(count) < 1.0 / (1.0 + np.exp(-odds)), rng.integers(1, 30, count)


@cache
def fitted(kind: Kind, seed: int) -> Pipeline:
    matrix, label, weight = drawn(seed)
    pipeline = missing_estimator(kind, seed)
    given = {f"{pipeline.steps[-1][0]}__sample_weight": weight / weight.mean()}
    return rounded(pipeline.fit(matrix.astype(np.float64), label.astype(int), **given))


def near(number: float) -> st.SearchStrategy[float]:
    """The number as float32, and both of its neighbours."""
    value = np.float32(number)
    ends = np.float32(np.inf), np.float32(-np.inf)
    return st.sampled_from([float(value), *(float(np.nextafter(value, end)) for end in ends)])


numbers = (
    st.just(math.nan)
    | st.floats(-1e9, 1e9, width=32)
    | st.integers(-7, 7).flatmap(lambda n: near(n / 14.0))  # where trees divide
)
rows = st.lists(numbers, min_size=COLUMNS, max_size=COLUMNS)


@given(st.sampled_from([*KINDS]), st.integers(1, 3), st.lists(rows, min_size=1, max_size=30))
def test_log_odds_are_those_of_scikit_learn(
    kind: Kind, seed: int, batch: list[list[float]]
) -> None:
    pipeline, matrix = fitted(kind, seed), np.array(batch, dtype=np.float32)
    if kind == "logistic":
        matrix = np.clip(matrix, -1e3, 1e3)  # products of 1e9 have no nine decimals
    reference = 0.8 * pipeline.decision_function(matrix.astype(np.float64)) - 0.3
    assert np.array_equal(reference, 0.8 * log_odds(pipeline, matrix) - 0.3)
    model = exported(pipeline, CALIBRATION).compiled(COLUMNS)
    np.testing.assert_allclose(model.log_odds(matrix), reference, rtol=0, atol=1e-9)


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_some_missing_values_go_left_and_some_right(seed: int) -> None:
    trees = exported(fitted("gradient_boosting", seed), CALIBRATION)
    assert isinstance(trees, Trees)
    used = np.array(trees.feature) >= 0
    sides = np.array(trees.missing_left)[used]
    assert sides.any()
    assert not sides.all()


@pytest.mark.parametrize("kind", KINDS)
def test_a_feature_that_no_row_had_contributes_nothing(kind: Kind) -> None:
    model = exported(fitted(kind, 1), CALIBRATION).compiled(COLUMNS)
    matrix = np.array([[0.0] * COLUMNS, [1e6] * COLUMNS], dtype=np.float32)
    assert model.contributions(matrix)[:, 4].tolist() == [0.0, 0.0]


def test_cover_is_the_count_of_rows_or_the_weight_of_those_given() -> None:
    pipeline, (matrix, _, weight) = fitted("gradient_boosting", 1), drawn(1)
    counted = exported(pipeline, CALIBRATION)
    weighed = exported(pipeline, CALIBRATION, matrix, weight.astype(float))
    ones = exported(pipeline, CALIBRATION, matrix, np.ones(len(matrix)))
    assert counted == ones
    assert isinstance(weighed, Trees)
    assert np.sum(weighed.cover, axis=1) == pytest.approx(weight.sum())
    assert weighed.leaf == ones.leaf  # type: ignore[union-attr]
    raw = weighed.compiled(COLUMNS).log_odds(matrix)
    assert weighed.compiled(COLUMNS).expected == pytest.approx(np.average(raw, weights=weight))


def test_rows_are_weighed_in_parts_that_make_the_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    pipeline, (matrix, _, weight) = fitted("gradient_boosting", 2), drawn(2)
    whole = exported(pipeline, CALIBRATION, matrix, weight.astype(float))
    monkeypatch.setattr("models.training.export.ROWS", 77)
    assert exported(pipeline, CALIBRATION, matrix, weight.astype(float)) == whole


def test_rounding_removes_the_last_digits() -> None:
    matrix, label, _ = drawn(1)
    pipeline = missing_estimator("gradient_boosting", 1).fit(matrix, label)
    before = exported(rounded(pipeline), Calibration())
    boosted = pipeline.steps[-1][1]
    boosted._baseline_prediction *= 1.0 + 4 * np.finfo(float).eps
    for (tree,) in boosted._predictors:
        tree.nodes["value"] *= 1.0 + 4 * np.finfo(float).eps
    assert exported(pipeline, Calibration()) != before
    assert exported(rounded(pipeline), Calibration()) == before


def test_a_tree_without_comparisons_is_one_leaf() -> None:
    rng = np.random.default_rng(1)
    label = rng.random(300) < 0.3
    pipeline = missing_estimator("gradient_boosting", 1).fit(np.zeros((300, 1)), label)
    model = exported(pipeline, Calibration()).compiled(1)
    reference = pipeline.decision_function(np.zeros((1, 1)))
    assert model.log_odds(np.zeros((1, 1), np.float32)) == pytest.approx(reference, abs=1e-9)


def test_trees_that_do_not_fit_are_refused() -> None:
    matrix, label, _ = drawn(1)
    matrix = matrix[:, :3]
    deep = HistGradientBoostingClassifier(max_depth=LEAVES, max_iter=5)
    with pytest.raises(ValueError, match="deeper"):
        exported(make_pipeline(deep).fit(matrix, label), Calibration())
    sets = HistGradientBoostingClassifier(max_depth=3, max_iter=5, categorical_features=[0])
    places = np.nan_to_num(7.0 * matrix + 3.0)
    with pytest.raises(ValueError, match="sets of values"):
        exported(make_pipeline(sets).fit(places, places[:, 0] % 2 == 0), Calibration())


@pytest.mark.slow
def test_steps_stay_in_bounds_where_fraud_is_rare() -> None:
    rng = np.random.default_rng(3)
    matrix = rng.normal(size=(60_000, COLUMNS))
    label = (matrix[:, 0] > 2.9) & (matrix[:, 1] > -1.0)
    pipeline = missing_estimator("gradient_boosting", 1).fit(matrix, label)
    assert np.abs(pipeline.decision_function(matrix)).max() < 30.0


FIELDS = {
    ID: Field(type="text", role="id"),
    "known": Field(type="amount"),
    "maybe": Field(type="amount", optional=True),
    "kind": Field(type="category", optional=True),
}


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (Feature(log="known"), False),
        (Feature(log="maybe"), True),
        (Feature(ratio=["known", "maybe"]), True),
        (Feature(equal=["maybe", "known"]), True),
        (Feature(missing="maybe"), False),
        (Feature(one_hot="kind", value="A"), False),
        (Feature(frequency="kind"), True),
        (Feature(rate="kind"), True),
    ],
)
def test_a_schema_says_whether_features_can_be_missing(feature: Feature, expected: bool) -> None:
    features = {"first": Feature(log="known"), "second": feature}
    assert has_missing(Definition(name="made", fields=FIELDS, features=features)) is expected


def test_paysim_has_all_its_features_in_every_row() -> None:
    assert not has_missing(PAYSIM.definition)
