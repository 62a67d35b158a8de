"""Which decisions on an account may have been unknown to another worker."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from models.profiles.differences import Difference
from models.profiles.neighbours import ANEW, Logged, Neighbours
from tests.support.decisions import DECIDED_AT, decision

LAG = 5.0
DECISION = decision()


class Made(NamedTuple):
    """A decision: when, where, and on which accounts."""

    moment: float
    partition: int
    keys: frozenset[bytes]


made = st.builds(
    Made,
    st.integers(0, 40).map(float),
    st.integers(0, 2),
    st.frozensets(st.sampled_from([b"a", b"b", b"c"]), max_size=2),
)
logs = st.lists(made, min_size=1, max_size=30).map(
    lambda all_: sorted(all_, key=lambda each: each[:2])
)


def explained(log: list[Made], place: int) -> bool:
    """By the words of the module."""
    own = log[place]
    for at, other in enumerate(log):
        if other.partition == own.partition or not other.keys & own.keys:
            continue
        if at < place and own.moment - other.moment <= LAG:
            return True
        following = [
            each.moment
            for each in log[place + 1 :]
            if each.partition == other.partition and each.moment > own.moment
        ]
        first = min(following, default=None)
        if at > place and (other.moment - own.moment <= LAG or other.moment == first):
            return True
    return False


def difference(place: int, partition: int) -> Difference:
    return Difference(str(place), DECIDED_AT, partition, 0.0, {})


@given(log=logs)
def test_a_difference_is_explained_by_decisions_close_to_it_in_other_partitions(
    log: list[Made],
) -> None:
    neighbours, found = Neighbours(LAG), list[Difference]()
    for place, each in enumerate(log):
        logged, keys = Logged(each.moment, each.partition, DECISION), sorted(each.keys)
        found.append(difference(place, each.partition))
        found[-1].explained = neighbours.explain(logged, keys)
        neighbours.add(logged, keys)
        if not found[-1].explained:
            neighbours.watch(found[-1], each.moment, keys)
    unexplained = [*found]
    assert [each.explained for each in unexplained] == [
        explained(log, place) for place in range(len(log))
    ]


def test_a_decision_that_is_made_anew_long_after_explains_no_more() -> None:
    neighbours, mine = Neighbours(LAG), difference(0, 0)
    neighbours.add(Logged(1.0, 0, DECISION), [b"a"])
    neighbours.watch(mine, 1.0, [b"a", b"b"])
    assert neighbours.settled(ANEW) == []
    assert neighbours.settled(ANEW + 2.0) == [mine]
    neighbours.add(Logged(ANEW + 2.0, 1, DECISION), [b"a"])
    assert not mine.explained
