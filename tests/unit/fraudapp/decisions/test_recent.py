"""What was heard is found again, or is known to be somewhere else; and memory is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fraudapp.decisions.recent import RecentDecisions

MOST = 20
keys = st.sampled_from([b"%d" % number for number in range(12)])


class Partition(RuleBasedStateMachine):
    """A log, what a worker has heard of it, and a history that follows."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = RecentDecisions(0, MOST)
        self.log: list[bytes] = []
        self.stored = 0

    @rule(new=st.lists(keys, max_size=30), gap=st.integers(0, 2))
    def hear(self, new: list[bytes], gap: int) -> None:
        begin = len(self.log)
        self.log += new
        self.log += [b""] * gap  # what is no record, and was read past
        self.heard.add(new, range(begin, begin + len(new)))
        self.heard.end = len(self.log)

    @rule(new=st.lists(keys, min_size=1, max_size=30), missed=st.integers(1, 30))
    def miss_some(self, new: list[bytes], missed: int) -> None:
        self.log += [b"missed"] * missed
        begin = len(self.log)
        self.log += new
        self.heard.add(new, range(begin, begin + len(new)))

    @rule(data=st.data())
    def sink(self, data: st.DataObject) -> None:
        self.stored = data.draw(st.integers(self.stored, len(self.log)))
        self.heard.keep(self.stored)

    @rule(data=st.data())
    def put_the_history_back(self, data: st.DataObject) -> None:
        self.stored = data.draw(st.integers(0, self.stored))
        self.heard.keep(self.stored)

    @rule(data=st.data())
    def return_from_own(self, data: st.DataObject) -> None:
        start = data.draw(st.integers(self.heard.end, len(self.log)))
        self.heard.restart(start)

    @rule(count=st.integers(1, 30))
    def store_what_was_not_heard_yet(self, count: int) -> None:
        self.stored = max(self.stored, self.heard.end + count)
        self.log += [b"missed"] * max(0, self.stored - len(self.log))
        self.heard.keep(self.stored)

    @invariant()
    def every_id_is_found_where_it_is_said_to_be(self) -> None:
        start, end = self.heard.start, self.heard.end
        for key in set(self.log[start:end]) - {b"", b"missed"}:
            places = [at for at in range(start, end) if self.log[at] == key]
            assert self.heard.find(key) == places

    @invariant()
    def what_it_says_of_the_history_is_true(self) -> None:
        assert self.heard.stored <= self.stored
        assert self.heard.start <= self.heard.end

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.heard) <= MOST + 30


TestPartition = Partition.TestCase


@given(st.lists(keys, min_size=1, max_size=200))
def test_the_latest_are_remembered_of_more_than_there_is_room_for(ids: list[bytes]) -> None:
    heard = RecentDecisions(7, MOST)
    for offset, key in enumerate(ids, start=7):
        heard.add([key], [offset])
    assert len(heard) <= MOST
    assert len(heard) >= min(len(ids), MOST * 3 // 4)
    assert (heard.start > 7) == (len(ids) > MOST)
    assert heard.find(ids[-1])[-1] == heard.end - 1
    assert heard.stored == 0


def test_a_log_that_begins_anew_is_another_one() -> None:
    heard = RecentDecisions(0, MOST)
    heard.add([b"a", b"b", b"c"], [0, 1, 2])
    heard.keep(2)
    assert (heard.start, heard.stored) == (2, 2)
    heard.add([b"d"], [1])
    assert (heard.start, heard.end, heard.stored) == (1, 2, 0)
    assert heard.find(b"c") == []
    assert heard.find(b"d") == [1]


def test_a_record_without_key_is_no_obstacle() -> None:
    heard = RecentDecisions(0, MOST)
    heard.add([None, b"a", None], [0, 1, 2])
    assert heard.find(b"a") == [1]
    assert heard.end == 3
