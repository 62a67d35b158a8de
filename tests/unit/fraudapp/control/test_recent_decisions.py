"""The last decisions are taken from all partitions, as evenly as they have them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fraudapp.control.recent_decisions import shares

lengths = st.dictionaries(st.integers(0, 20), st.integers(0, 100), min_size=1)


@given(there=lengths, count=st.integers(0, 1_000))
def test_as_many_are_taken_as_there_are_up_to_the_count(there: dict[int, int], count: int) -> None:
    taken = shares(there, count)
    assert taken.keys() == there.keys()
    assert sum(taken.values()) == min(count, sum(there.values()))


@given(there=lengths, count=st.integers(0, 1_000))
def test_a_partition_gives_less_than_another_only_if_it_has_no_more(
    there: dict[int, int], count: int
) -> None:
    taken = shares(there, count)
    most = max(taken.values())
    for partition, share in taken.items():
        assert 0 <= share <= there[partition]
        assert share >= most - 1 or share == there[partition]
