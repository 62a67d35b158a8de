"""Which decisions on an account may have been unknown to another worker."""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st

from fraudapp.profiles import service
from models.profiles.neighbours import FIRST_CATCH_UP, Logged, Neighbours, Part, Recent
from tests.support.decisions import decision

LAG = 5.0
DECISION = decision()


class Made(NamedTuple):
    """A decision: when, where, and on which account."""

    moment: float
    partition: int
    key: bytes


made = st.builds(
    Made,
    st.integers(0, 40).map(float),
    st.integers(0, 2),
    st.sampled_from([b"a", b"b"]),
)
logs = st.lists(made, min_size=1, max_size=30).map(
    lambda all_: sorted(all_, key=lambda each: each[:2])
)


def lacking(log: list[Made], place: int, lag: float) -> list[int]:
    """Those before a decision that it may lack, by the words of the module."""
    own = log[place]
    return [
        at
        for at, other in enumerate(log[:place])
        if other.key == own.key
        and other.moment >= own.moment - LAG - lag
        and (lag or other.partition != own.partition)
    ]


def more(log: list[Made], place: int) -> list[int]:
    """Those after it that it may have known."""
    own, found = log[place], []
    for at, other in enumerate(log):
        if at <= place or other.partition == own.partition or other.key != own.key:
            continue
        following = [
            each.moment
            for each in log[place + 1 :]
            if each.partition == other.partition and each.moment > own.moment
        ]
        if other.moment - own.moment <= LAG or other.moment == min(following, default=None):
            found.append(at)
    return found


@given(log=logs, lag=st.sampled_from([0.0, 6.5, FIRST_CATCH_UP]))
def test_decisions_close_in_other_partitions_are_uncertain(log: list[Made], lag: float) -> None:
    neighbours, own = Neighbours(LAG), list[Recent]()
    for place, each in enumerate(log):
        logged = Logged(each.moment, each.partition, DECISION)
        # The amounts tell the decisions apart.
        (found,) = neighbours.add(logged, [Part(each.key, int(each.moment), place, ())])
        assert found
        own.append(found)
    for place, recent in enumerate(own):
        uncertain = neighbours.uncertain(recent, lag)
        assert sorted(part.amount for part in uncertain.lacking) == lacking(log, place, lag)
        assert sorted(part.amount for part in uncertain.more) == more(log, place)
        certain = [
            int(other.moment)
            for at, other in enumerate(log[:place])
            if other.key == log[place].key and at not in lacking(log, place, lag)
        ]
        assert uncertain.last == max(certain, default=0)
        assert uncertain.lacks_all == (lag == FIRST_CATCH_UP)


def test_what_is_long_ago_is_dropped_and_its_last_second_is_not() -> None:
    neighbours = Neighbours(LAG)
    for number in range(1_000):
        logged = Logged(float(number), 0, DECISION)
        neighbours.add(logged, [Part(b"a", number, 1, ())])
    assert len(neighbours._recent[b"a"]) < 300
    (own,) = neighbours.add(Logged(2_000.0, 1, DECISION), [Part(b"a", 2_000, 1, ())])
    assert own
    assert neighbours.uncertain(own, 0.0).last == 999


def test_a_worker_waits_after_its_start_for_as_long_as_is_said_here() -> None:
    assert service.FIRST_CATCH_UP == FIRST_CATCH_UP
