"""A sample is even, of a bounded size, and the same for the same ids in any order."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.comparing.sampling import Sample, halvings
from models.policies.exploring import is_chosen

IDS = [f"t{number}" for number in range(20_000)]


def sampled(ids: list[str], limit: int, at_once: int = 100) -> tuple[Sample, set[str]]:
    """Ids that are in the sample after all of them came."""
    sample, outlived = Sample(limit), halvings(ids)
    for begin in range(0, len(ids), at_once):
        part = outlived[begin : begin + at_once]
        sample.add(part[part >= sample.halved])
    kept = (outlived >= sample.halved).tolist()
    return sample, {each for each, is_kept in zip(ids, kept, strict=True) if is_kept}


def test_each_halving_leaves_about_half() -> None:
    outlived = halvings(IDS)
    for times in range(5):
        assert (outlived >= times).mean() == pytest.approx(0.5**times, rel=0.05)


def test_the_hash_of_an_id_is_the_same_for_good() -> None:
    wanted = [1, 0, 0, 0, 0, 1, 0, 0, 2, 0, 1, 5]
    assert halvings([f"t{number}" for number in range(len(wanted))]).tolist() == wanted
    assert halvings(["é" * 40, ""]).tolist() == [1, 32]
    assert halvings([]).tolist() == []


@given(st.lists(st.text(max_size=20)))
def test_each_id_has_its_own_halvings_whatever_comes_with_it(ids: list[str]) -> None:
    together = halvings(ids)
    assert together.dtype == np.uint8
    assert together.tolist() == [halvings([each])[0] for each in ids]


@pytest.mark.parametrize("share", [0.01, 0.1])
def test_the_control_group_is_in_the_sample_as_often_as_the_others(share: float) -> None:
    group = [each for each in (f"t{number}" for number in range(200_000)) if is_chosen(each, share)]
    assert (halvings(group) >= 2).mean() == pytest.approx(0.25, abs=0.02)


@given(st.permutations(IDS[:300]), st.integers(1, 400), st.integers(1, 50))
def test_the_order_of_ids_does_not_matter(ids: list[str], limit: int, at_once: int) -> None:
    sample, kept = sampled(ids, limit, at_once)
    other, also_kept = sampled(IDS[:300], limit)
    assert (sample.halved, kept) == (other.halved, also_kept)
    assert len(kept) <= limit
    assert (sample.share == 1.0) == (limit >= 300)


def test_a_large_sample_is_not_much_smaller_than_it_may_be() -> None:
    sample, kept = sampled(IDS, 8_000)
    assert sample.share == 0.25
    assert len(kept) == pytest.approx(5_000, rel=0.05)


def test_a_sample_of_ids_that_outlive_all_halvings_ends() -> None:
    sample = Sample(1)
    sample.add(np.full(3, 32, np.uint8))
    assert sample.halved == 32
