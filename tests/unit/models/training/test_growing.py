"""A column that grows is the one that joining would have made."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.training.growing import Growing


@given(parts=st.lists(st.lists(st.floats(allow_nan=False), max_size=40), max_size=20))
def test_it_is_what_joining_gives(parts: list[list[float]]) -> None:
    column = Growing(np.float64)
    for part in parts:
        column.extend(np.array(part))
    expected = [each for part in parts for each in part]
    assert len(column) == len(expected)
    whole = column.taken()
    assert whole.tolist() == expected
    assert whole.dtype == np.float64
    assert len(column) == len(column.taken()) == 0


@pytest.mark.parametrize("dtype", [np.int64, np.float32, object])
def test_what_was_taken_stays_as_it_is(dtype: type) -> None:
    column = Growing(dtype)
    column.extend(np.array([1, 2], dtype))
    whole = column.taken()
    column.extend(np.arange(10_000).astype(dtype))
    assert whole.tolist() == [1, 2]
    assert column.taken().tolist() == list(range(10_000))


def test_texts_are_kept_once() -> None:
    column = Growing(object)
    text = "a" * 3
    column.extend(np.array([text, None, text], object))
    whole = column.taken()
    assert whole[0] is text
    assert whole[2] is text
    assert whole[1] is None
