"""The stability index of two histograms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.drift import EDGES, histogram, stability_index

BINS = len(EDGES) + 1
counts = st.lists(st.integers(0, 10_000), min_size=BINS, max_size=BINS).filter(any)


@given(counts, counts)
def test_it_is_never_negative_and_the_same_both_ways(first: list[int], second: list[int]) -> None:
    index = stability_index(first, second)
    assert index >= 0
    assert index == pytest.approx(stability_index(second, first))


@given(counts, st.integers(1, 1_000))
def test_it_is_nought_for_the_same_shares(first: list[int], factor: int) -> None:
    assert stability_index(first, [factor * each for each in first]) == pytest.approx(0, abs=1e-12)


def test_it_is_the_textbook_number() -> None:
    expected = (0.75 - 0.5) * np.log(0.75 / 0.5) + (0.25 - 0.5) * np.log(0.25 / 0.5)
    assert stability_index([50, 50], [3, 1]) == pytest.approx(expected)


@pytest.mark.parametrize("wrong", [[0] * BINS, [1], [-1, *[1] * (BINS - 1)]])
def test_what_is_no_histogram_is_refused(wrong: list[int]) -> None:
    with pytest.raises(ValueError, match="histogram"):
        stability_index([1] * BINS, wrong)


@given(st.lists(st.floats(0, 1), min_size=1))
def test_every_score_is_in_one_bin(scores: list[float]) -> None:
    found = histogram(np.array(scores), np.ones(len(scores)))
    assert len(found) == BINS
    assert sum(found) == len(scores)
    assert found[-1] == sum(score >= EDGES[-1] for score in scores)
