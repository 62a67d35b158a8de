"""What is expected is read from a card; an old one has less, and a wrong one nothing."""

from __future__ import annotations

from typing import Any

import pytest

from models.drift import EDGES
from models.watch.expected import ON_CARD, expected_by, scores_by

OLD: dict[str, Any] = {
    "rows": 1_000,
    "score_edges": list(EDGES),
    "score_histogram": [900.0, 0.0, 0.0, 0.0, 0.0, 80.0, 10.0, 6.0, 4.0],
}
LEARNED: dict[str, Any] = {
    "rows": 900.0,
    "score": 0.02,
    "features": {"size": {"edges": [1.0, 2.0], "shares": [0.0, 0.5, 0.25, 0.25]}},
}


def test_a_card_says_the_shares_of_scores_and_features() -> None:
    found = expected_by(OLD | {ON_CARD: LEARNED}, ["size"])
    assert found is not None
    assert (found.rows, found.score, list(found.features)) == (900.0, 0.02, ["size"])
    assert found.above(0.5) == pytest.approx(0.01)
    assert found.above(0.8) == pytest.approx(0.004)


def test_bins_have_a_name_of_their_edges() -> None:
    one = expected_by(OLD | {ON_CARD: LEARNED}, ["size"])
    features = {"size": {"edges": [1.0, 2.5], "shares": [0.0, 0.5, 0.25, 0.25]}}
    other = expected_by(OLD | {ON_CARD: LEARNED | {"features": features}}, ["size"])
    assert one is not None
    assert other is not None
    assert one.bins != other.bins


def test_an_old_card_says_nothing_of_features() -> None:
    found = expected_by(OLD, ["size"])
    assert found is not None
    assert (found.rows, found.score, found.features, found.bins) == (1_000.0, None, {}, "")


@pytest.mark.parametrize(
    "wrong",
    [
        {"edges": [2.0, 1.0], "shares": [0.0, 0.5, 0.25, 0.25]},
        {"edges": [1.0, 1.0], "shares": [0.0, 0.5, 0.25, 0.25]},
        {"edges": [1.0, 2.0], "shares": [0.5, 0.25, 0.25]},
        {"edges": [1.0, 2.0], "shares": [0.0, 0.0, 0.0, 0.0]},
        {"edges": [1.0, 2.0], "shares": [0.0, -0.5, 0.25, 0.25]},
        {"edges": "none", "shares": []},
        {"edges": [float(each) for each in range(40)], "shares": [1.0] * 42},
    ],
)
def test_bins_that_are_none_are_left_out(wrong: dict[str, Any]) -> None:
    found = expected_by(OLD | {ON_CARD: LEARNED | {"features": {"size": wrong}}}, ["size"])
    assert found is not None
    assert found.features == {}


def test_bins_of_other_features_are_left_out() -> None:
    found = expected_by(OLD | {ON_CARD: LEARNED}, ["weight"])
    assert found is not None
    assert found.features == {}


@pytest.mark.parametrize(
    "wrong",
    [
        {"rows": 0},
        {"rows": "many"},
        {"score_histogram": [1.0]},
        {"score_histogram": [0.0] * 9},
        {"score_histogram": [-1.0] + [1.0] * 8},
        {"score_histogram": [float("inf")] * 9},
        {"score_histogram": None},
        {"score_edges": [0.5]},
    ],
)
def test_a_card_without_scores_says_nothing(wrong: dict[str, Any]) -> None:
    assert expected_by(OLD | {ON_CARD: LEARNED} | wrong, ["size"]) is None
    assert (scores_by(OLD | wrong) is None) == ("rows" not in wrong)
