"""Batches grow with the load, up to what the bound of time allows."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agents.batch_sizer import INITIAL_BATCH_SIZE, MAX_BATCH_SIZE, MIN_BATCH_SIZE, BatchSizer

seconds = st.floats(0, 100)


@given(observed=st.lists(st.tuples(st.integers(1, 10_000), seconds)), bound=st.floats(0.001, 10))
def test_whatever_is_observed_the_size_stays_within_its_limits(
    observed: list[tuple[int, float]], bound: float
) -> None:
    sizer = BatchSizer(bound)
    for count, took in observed:
        sizer.observe(count, took)
        assert MIN_BATCH_SIZE <= sizer.size <= MAX_BATCH_SIZE


@given(each=st.floats(0.000_01, 0.001))
def test_a_steady_cost_leads_to_batches_that_take_the_bound(each: float) -> None:
    sizer = BatchSizer(0.05)
    for _ in range(100):
        sizer.observe(sizer.size, sizer.size * each)
    exact = max(MIN_BATCH_SIZE, min(MAX_BATCH_SIZE, 0.05 / each))
    assert abs(sizer.size - exact) <= 1 + exact * 0.01


def test_small_batches_do_not_change_the_estimate() -> None:
    sizer = BatchSizer(0.05)
    sizer.observe(1, 0.05)
    assert sizer.size == INITIAL_BATCH_SIZE
