"""Training learns a number for each text, and no row's own label is in its rate."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from models.errors import TrainingDataError
from models.schema.definition import ID, Definition, Feature, Field
from models.schema.features import OTHERS, Features
from models.training import learning
from models.training.estimators import missing_estimator
from models.training.learning import (
    MIN_ROWS,
    filled,
    learn,
    learned_features,
    looked_up,
    out_of_fold,
)

MADE = Definition(
    name="made",
    fields={
        ID: Field(type="text", role="id"),
        "amount": Field(type="amount"),
        "shop": Field(type="text", optional=True),
    },
    features={
        "shop_rate": Feature(rate="shop", smoothing=10.0),
        "amount_log": Feature(log="amount"),
        "shop_share": Feature(frequency="shop"),
    },
)
texts = st.sampled_from(["a", "b", "c", "rare ü", OTHERS, None])


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str | None], Any, Any]:
    """A column of texts, labels and weights, in order of time."""
    column = draw(st.lists(texts, min_size=8, max_size=60))
    count = len(column)
    fraud = draw(st.lists(st.booleans(), min_size=count, max_size=count))
    weight = draw(st.lists(st.sampled_from([0.0, 1.0, 21.2]), min_size=count, max_size=count))
    return column, np.array(fraud), np.array([1.0, *weight[1:]])


def by_hand(text: str, column: list[str | None], fraud: Any, weight: Any) -> tuple[float, float]:
    """The rate and the share of a text, by their definitions."""
    overall = weight[fraud].sum() / weight.sum()
    same = np.array([each == text for each in column])
    if same.sum() < MIN_ROWS or text == OTHERS:
        return overall, 0.0
    frauds = weight[same & fraud].sum()
    return (frauds + 10.0 * overall) / (weight[same].sum() + 10.0), weight[
        same
    ].sum() / weight.sum()


@given(tables())
def test_numbers_are_those_of_their_definitions(table: tuple[Any, Any, Any]) -> None:
    column, fraud, weight = table
    learned = learn(MADE, {"shop": column}, fraud, weight)
    assert learned.keys() == learned_features(MADE).keys()
    for text in ("a", "b", "c", "rare ü", OTHERS, "never seen"):
        found = [learned[name].get(text, learned[name][OTHERS]) for name in learned]
        assert found == pytest.approx(by_hand(text, column, fraud, weight), rel=1e-6)


@given(tables())
def test_rows_are_looked_up_as_serving_does(table: tuple[Any, Any, Any]) -> None:
    column, fraud, weight = table
    learned = learn(MADE, {"shop": column}, fraud, weight)
    later = [*column, "never seen", None, OTHERS]
    amounts = [1.0] * len(later)
    served = Features(MADE, learned)
    expected = served.from_columns({"shop": later, "amount": amounts})
    unlearned = Features(MADE).from_columns({"shop": later, "amount": amounts})
    found = filled(MADE, unlearned, looked_up(MADE, learned, {"shop": later}))
    assert np.array_equal(found, expected, equal_nan=True)
    assert np.isnan(unlearned[:, [0, 2]]).all()
    rows = [served.matrix([SimpleNamespace(amount=1.0, shop=shop)])[0] for shop in later]
    assert np.array_equal(np.array(rows), expected, equal_nan=True)


@given(tables(), st.integers(2, 5), st.randoms(use_true_random=False))
def test_labels_of_a_fold_change_no_rate_in_it(
    table: tuple[Any, Any, Any], folds: int, random: Any
) -> None:
    column, fraud, weight = table
    weight = np.ones(len(fraud))
    before = out_of_fold(MADE, {"shop": column}, fraud, weight, folds)
    for current in range(folds):
        fold = np.flatnonzero(np.arange(len(fraud)) * folds // len(fraud) == current)
        mixed = fraud.copy()
        order = fold.tolist()
        random.shuffle(order)
        mixed[fold] = fraud[order]  # the overall rate stays
        after = out_of_fold(MADE, {"shop": column}, mixed, weight, folds)
        for name in before:
            assert np.array_equal(before[name][fold], after[name][fold], equal_nan=True)


@given(tables())
def test_the_rate_of_a_fold_is_learned_from_the_others(table: tuple[Any, Any, Any]) -> None:
    column, fraud, weight = table
    found = out_of_fold(MADE, {"shop": column}, fraud, weight, 2)
    half = -(-len(column) // 2)
    overall = weight[fraud].sum() / weight.sum()
    for rows, others in ((slice(0, half), slice(half, None)), (slice(half, None), slice(0, half))):
        for text, rate in zip(column[rows], found["shop_rate"][rows].tolist(), strict=True):
            same = np.array([each == text for each in column[others]])
            if text is None:
                assert math.isnan(rate)
            elif same.sum() < MIN_ROWS or text == OTHERS:
                assert rate == pytest.approx(overall, rel=1e-6)
            else:
                frauds = weight[others][same & fraud[others]].sum()
                count = weight[others][same].sum()
                expected = (frauds + 10.0 * overall) / (count + 10.0)
                assert rate == pytest.approx(expected, rel=1e-6)
    served = looked_up(MADE, learn(MADE, {"shop": column}, fraud, weight), {"shop": column})
    assert np.array_equal(found["shop_share"], served["shop_share"], equal_nan=True)


@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_nothing_in_what_is_learned(
    table: tuple[Any, Any, Any], random: Any
) -> None:
    column, fraud, weight = table
    order = list(range(len(column)))
    random.shuffle(order)
    moved = {"shop": [column[at] for at in order]}
    expected = learn(MADE, {"shop": column}, fraud, weight)
    found = learn(MADE, moved, fraud[order], weight[order])
    for name, table_of in expected.items():
        assert list(found[name]) == list(table_of)
        assert found[name] == pytest.approx(table_of, rel=1e-6)


def random_labels() -> tuple[dict[str, Any], Any, Any]:
    rng = np.random.default_rng(5)
    shops = rng.integers(0, 1_500, 15_000)
    return {"shop": [f"s{shop}" for shop in shops]}, rng.random(15_000) < 0.2, np.ones(15_000)


def skill(rate: Any, fraud: Any) -> float:
    """The area under the ROC curve that a model trained on the rate has on its training rows."""
    with threadpool_limits(1):  # several threads wait for each other where processors are busy
        pipeline = missing_estimator("gradient_boosting", 1).fit(rate[:, None], fraud)
        return float(roc_auc_score(fraud, pipeline.decision_function(rate[:, None])))


def test_a_random_label_seems_predictable_only_if_rows_see_their_own() -> None:
    columns, fraud, weight = random_labels()
    own = looked_up(MADE, learn(MADE, columns, fraud, weight), columns)["shop_rate"]
    others = out_of_fold(MADE, columns, fraud, weight)["shop_rate"]
    assert roc_auc_score(fraud, own) > 0.7
    assert roc_auc_score(fraud, others) == pytest.approx(0.5, abs=0.02)
    assert skill(own, fraud) > 0.7
    assert skill(others, fraud) < 0.6


def test_a_burst_of_fraud_does_not_tell_of_itself() -> None:
    fraud = np.zeros(1_000, dtype=bool)
    fraud[420:440] = True  # inside one of the five folds
    column = ["burst" if each else "other" for each in fraud]
    rate = out_of_fold(MADE, {"shop": column}, fraud, np.ones(1_000))["shop_rate"]
    assert rate[fraud].tolist() == pytest.approx([0.02] * 20)
    assert learn(MADE, {"shop": column}, fraud, np.ones(1_000))["shop_rate"]["burst"] > 0.5


def test_the_texts_with_most_rows_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(learning, "MAX_TEXTS", 2)
    column = ["b"] * 6 + ["d"] * 8 + ["a"] * 6 + ["c"] * 5
    learned = learn(MADE, {"shop": column}, np.arange(25) % 2 == 0, np.ones(25))
    assert [*learned["shop_share"]] == [OTHERS, "d", "a"]  # of equals, the first by name
    assert learned["shop_share"] == {OTHERS: 0.0, "d": 0.32, "a": 0.24}
    assert [*learned["shop_rate"]] == [OTHERS, "d", "a"]


def test_without_smoothing_a_text_without_weight_has_the_overall_rate() -> None:
    made = Definition(
        name="made", fields=MADE.fields, features={"r": Feature(rate="shop", smoothing=0.0)}
    )
    weight = np.array([0.0] * 5 + [1.0] * 5)
    fraud = np.array([False] * 8 + [True] * 2)
    learned = learn(made, {"shop": ["a"] * 5 + ["b"] * 5}, fraud, weight)
    assert learned == {"r": {OTHERS: 0.4, "a": 0.4, "b": 0.4}}


def test_a_column_without_any_text_has_only_others() -> None:
    learned = learn(MADE, {"shop": [None] * 8}, np.arange(8) == 0, np.ones(8))
    assert learned == {"shop_rate": {OTHERS: 0.125}, "shop_share": {OTHERS: 0.0}}
    found = out_of_fold(MADE, {"shop": [None] * 8}, np.arange(8) == 0, np.ones(8), 2)
    assert all(np.isnan(column).all() for column in found.values())


LABELS, ONES = np.arange(8) == 0, np.ones(8)


@pytest.mark.parametrize(
    ("columns", "weight", "folds", "message"),
    [
        ({}, ONES, 2, "column shop is missing"),
        ({"shop": ["a"] * 7}, ONES, 2, "column shop has 7 of 8 rows"),
        ({"shop": ["a"] * 7 + [3]}, ONES, 2, "must hold texts or nothing, not 3"),
        ({"shop": ["a"] * 8}, 0 * ONES, 2, "not all 0"),
        ({"shop": ["a"] * 8}, -ONES, 2, "from 0"),
        ({"shop": ["a"] * 8}, np.nan * ONES, 2, "from 0"),
        ({"shop": ["a"] * 8}, np.ones(7), 2, "8 labels and 7 weights"),
        ({"shop": ["a"] * 8}, ONES, 1, "1 folds of 8 rows"),
        ({"shop": ["a"] * 8}, ONES, 9, "9 folds of 8 rows"),
    ],
)
def test_columns_that_do_not_fit_are_refused(
    columns: Any, weight: Any, folds: int, message: str
) -> None:
    with pytest.raises(TrainingDataError, match=message):
        out_of_fold(MADE, columns, LABELS, weight, folds)
    if folds == 2:
        with pytest.raises(TrainingDataError, match=message):
            learn(MADE, columns, LABELS, weight)
