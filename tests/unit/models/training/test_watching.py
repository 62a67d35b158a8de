"""Bins are learned of the rows of a training, and of their weights."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from models.training.watching import BINS, watchable
from models.watch.counting import Counter
from models.watch.expected import Expected

columns = arrays(
    np.float32, st.integers(1, 60), elements=st.floats(-1e6, 1e6, width=32) | st.just(np.nan)
) | arrays(np.float32, st.integers(1, 60), elements=st.sampled_from([0.0, 1.0, 7.0]))


@given(column=columns)
def test_the_rows_themselves_are_as_expected(column: np.ndarray) -> None:
    rows = len(column)
    found = watchable(column[:, None], np.ones(rows), np.full(rows, 0.25), ("one",))
    bins = found.features["one"]
    assert (found.rows, found.score) == (rows, 0.25)
    assert len(bins.edges) < BINS
    expected = Expected(rows=rows, scores=[1.0] * 9, features=found.features)
    (counts,) = Counter(expected).count(column[:, None], np.zeros(rows)).features
    np.testing.assert_allclose(np.array(counts) / rows, bins.shares, atol=1e-6)


def test_a_few_values_get_a_bin_each_and_many_get_as_many_rows() -> None:
    rng = np.random.default_rng(1)
    matrix = np.column_stack([rng.integers(0, 2, 8_000), rng.normal(size=8_000)])
    found = watchable(matrix.astype(np.float32), np.ones(8_000), np.zeros(8_000), ("a", "b"))
    assert found.features["a"].edges == [0.5]
    np.testing.assert_allclose(found.features["b"].shares[1:], 1 / BINS, atol=1e-3)
    assert found.features["b"].shares[0] == 0.0


def test_a_feature_that_grows_with_time_is_said_to_wander() -> None:
    rng = np.random.default_rng(2)
    matrix = rng.normal(size=(20_000, 2))
    matrix[:, 1] += np.arange(20_000) / 10_000
    found = watchable(
        matrix.astype(np.float32), np.ones(20_000), np.zeros(20_000), ("still", "grows")
    )
    assert found.features["still"].wandering < 0.05
    assert found.features["grows"].wandering > 0.4
    few = watchable(
        matrix[:400].astype(np.float32), np.ones(400), np.zeros(400), ("still", "grows")
    )
    assert [each.wandering for each in few.features.values()] == [0.0, 0.0]


def test_a_row_counts_for_as_many_as_it_stands_for() -> None:
    matrix = np.array([[0.0], [1.0]], np.float32)
    found = watchable(matrix, np.array([3.0, 1.0]), np.array([0.0, 1.0]), ("a",))
    assert found.features["a"].shares == [0.0, 0.75, 0.25]
    assert (found.rows, found.score) == (1.6, 0.25)
