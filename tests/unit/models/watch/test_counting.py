"""Rows are counted as one would count them one by one, in whatever batches they come."""

from __future__ import annotations

from bisect import bisect_right
from math import isnan

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from models.drift import EDGES
from models.watch import counting
from models.watch.cells import Cell
from models.watch.counting import Counter
from models.watch.expected import Bins, Expected

numbers = st.floats(-8.0, 8.0, width=32)
values = numbers | st.just(float("nan"))
edges = st.lists(numbers, max_size=7, unique=True).map(sorted)


def expected(of_features: list[list[float]]) -> Expected:
    return Expected(
        rows=10.0,
        scores=[1.0] + [0.0] * len(EDGES),
        features={
            f"f{at}": Bins(each, [1.0] + [0.0] * (len(each) + 1))
            for at, each in enumerate(of_features)
        },
    )


@given(data=st.data(), bins=st.lists(edges, min_size=1, max_size=4))
def test_each_value_is_in_its_bin(data: st.DataObject, bins: list[list[float]]) -> None:
    row = st.tuples(*(values for _ in bins))
    rows = data.draw(st.lists(row, min_size=1, max_size=30))
    scores = data.draw(
        st.lists(st.floats(0, 1), min_size=len(rows), max_size=len(rows)).map(np.array)
    )
    found = Counter(expected(bins)).count(np.array(rows, np.float32), scores, flags=1, blocks=2)
    features = [[0] * (len(each) + 2) for each in bins]
    for each in rows:
        for value, counts, of_feature in zip(each, features, bins, strict=True):
            counts[0 if isnan(value) else 1 + bisect_right(of_feature, value)] += 1
    assert found.features == features
    assert (found.rows, found.flags, found.blocks) == (len(rows), 1, 2)
    assert found.scores == np.bincount(np.digitize(scores, EDGES), minlength=9).tolist()
    assert found.score == sum(round(each * 1_000_000) for each in scores.tolist())


def test_it_does_not_matter_how_many_rows_come_together() -> None:
    rng = np.random.default_rng(3)
    rows = 2 * counting.BLOCK + 7
    matrix = rng.normal(size=(rows, 3)).astype(np.float32)
    scores = rng.random(rows)
    counter = Counter(expected([[-1.0, 0.0, 1.0], [0.5], []]))
    parts = Cell(
        bins=expected([[-1.0, 0.0, 1.0], [0.5], []]).bins, features=[[0] * 5, [0] * 3, [0] * 2]
    )
    for at in range(0, rows, 1_000):
        parts.add(counter.count(matrix[at : at + 1_000], scores[at : at + 1_000]))
    assert counter.count(matrix, scores) == parts
    assert counter.count(np.asfortranarray(matrix), scores) == parts


def test_without_bins_only_scores_are_counted() -> None:
    matrix, scores = np.zeros((4, 3), np.float32), np.array([0.0, 0.5, 0.8, 1.0])
    for counter in (Counter(None), Counter(Expected(rows=1.0, scores=[1.0] * 9))):
        found = counter.count(matrix, scores)
        assert (found.bins, found.features) == ("", [])
        assert found.scores == [1, 0, 0, 0, 0, 0, 0, 1, 2]


def test_a_matrix_of_another_model_is_not_counted_by_these_bins() -> None:
    found = Counter(expected([[0.0]])).count(np.zeros((2, 3), np.float32), np.zeros(2))
    assert (found.rows, found.bins, found.features) == (2, "", [])
