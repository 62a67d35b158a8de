"""A table holds its rows, whatever the chunks are that they came in."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.comparing.table import Table

ROW = np.dtype([("at", np.float64), ("both", np.int8, (2,)), ("left", np.uint8)])
PARTS = st.lists(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), max_size=9), max_size=9)


def rows(part: list[tuple[int, int]]) -> NDArray[np.void]:
    return np.array([(at, (at, left), left) for at, left in part], ROW)


@given(PARTS, PARTS, st.integers(0, 3))
def test_rows_are_kept_and_sorted_as_one_list_would_be(
    before: list[list[tuple[int, int]]], after: list[list[tuple[int, int]]], least: int
) -> None:
    table = Table(ROW)
    for part in before:
        table.append(rows(part))
    table.keep("left", least)
    for part in after:
        table.append(rows(part))
    wanted = [each for part in before for each in part if each[1] >= least]
    wanted += [each for part in after for each in part]
    assert table.column("left").tolist() == [left for _, left in wanted]
    for _ in range(2):
        table.sort("at")
        wanted.sort(key=lambda each: each[0])
        assert table.column("at").tolist() == [at for at, _ in wanted]
        assert table.column("both").tolist() == [[*each] for each in wanted]
        table.append(rows([(0, 1)]))
        wanted.append((0, 1))


def test_a_column_of_no_rows_has_its_type_and_shape() -> None:
    both = Table(ROW).column("both")
    assert both.shape == (0, 2)
    assert both.dtype == np.int8
    empty = Table(ROW)
    empty.sort("at")
    assert len(empty.column("at")) == 0


def test_a_column_that_was_handed_out_does_not_change() -> None:
    table = Table(ROW)
    table.append(rows([(2, 1), (1, 0)] * 5))
    for _ in range(3):
        at, before = table.column("at"), table.column("at").tolist()
        table.append(rows([(0, 1)] * 2_000))
        table.keep("left", 1)
        table.sort("at")
        assert at.tolist() == before
