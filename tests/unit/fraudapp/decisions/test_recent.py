"""A recent id is found again, or Postgres is known to have it; and memory is bounded."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from fraudapp.decisions.recent import RecentDecisions

MOST = 20
keys = st.sampled_from([b"%d" % number for number in range(12)])


class Partition(RuleBasedStateMachine):
    """A partition of the log, its recent decisions on a worker, and a Postgres that lags."""

    def __init__(self) -> None:
        super().__init__()
        self.recent = RecentDecisions(0, MOST)
        self.log: list[bytes] = []
        self.stored = 0

    @rule(new=st.lists(keys, max_size=30), gap=st.integers(0, 2))
    def follow(self, new: list[bytes], gap: int) -> None:
        begin = len(self.log)
        self.log += new
        self.log += [b""] * gap  # offsets without a record, such as transaction markers
        self.recent.add(new, range(begin, begin + len(new)))
        self.recent.end = len(self.log)

    @rule(new=st.lists(keys, min_size=1, max_size=30), missed=st.integers(1, 30))
    def miss_some(self, new: list[bytes], missed: int) -> None:
        self.log += [b"missed"] * missed
        begin = len(self.log)
        self.log += new
        self.recent.add(new, range(begin, begin + len(new)))

    @rule(data=st.data())
    def write_to_postgres(self, data: st.DataObject) -> None:
        self.stored = data.draw(st.integers(self.stored, len(self.log)))
        self.recent.forget_stored(self.stored)

    @rule(data=st.data())
    def restore_postgres(self, data: st.DataObject) -> None:
        self.stored = data.draw(st.integers(0, self.stored))
        self.recent.forget_stored(self.stored)

    @rule(data=st.data())
    def lose_the_partition_to_another_worker(self, data: st.DataObject) -> None:
        start = data.draw(st.integers(self.recent.end, len(self.log)))
        self.recent.restart(start)

    @rule(count=st.integers(1, 30))
    def write_to_postgres_what_was_not_read_yet(self, count: int) -> None:
        self.stored = max(self.stored, self.recent.end + count)
        self.log += [b"missed"] * max(0, self.stored - len(self.log))
        self.recent.forget_stored(self.stored)

    @invariant()
    def every_id_is_found_at_its_offsets(self) -> None:
        start, end = self.recent.start, self.recent.end
        for key in set(self.log[start:end]) - {b"", b"missed"}:
            offsets = [at for at in range(start, end) if self.log[at] == key]
            assert self.recent.find(key) == offsets

    @invariant()
    def it_never_takes_for_stored_what_is_not(self) -> None:
        assert self.recent.stored <= self.stored
        assert self.recent.start <= self.recent.end

    @invariant()
    def memory_is_bounded(self) -> None:
        assert len(self.recent) <= MOST + 30


TestPartition = Partition.TestCase


@given(st.lists(keys, min_size=1, max_size=200))
def test_the_latest_are_remembered_of_more_than_there_is_room_for(ids: list[bytes]) -> None:
    recent = RecentDecisions(7, MOST)
    for offset, key in enumerate(ids, start=7):
        recent.add([key], [offset])
    assert len(recent) <= MOST
    assert len(recent) >= min(len(ids), MOST * 3 // 4)
    assert (recent.start > 7) == (len(ids) > MOST)
    assert recent.find(ids[-1])[-1] == recent.end - 1
    assert recent.stored == 0


def test_a_log_that_begins_anew_is_another_one() -> None:
    recent = RecentDecisions(0, MOST)
    recent.add([b"a", b"b", b"c"], [0, 1, 2])
    recent.forget_stored(2)
    assert (recent.start, recent.stored) == (2, 2)
    recent.add([b"d"], [1])
    assert (recent.start, recent.end, recent.stored) == (1, 2, 0)
    assert recent.find(b"c") == []
    assert recent.find(b"d") == [1]


def test_a_record_without_key_is_no_obstacle() -> None:
    recent = RecentDecisions(0, MOST)
    recent.add([None, b"a", None], [0, 1, 2])
    assert recent.find(b"a") == [1]
    assert recent.end == 3
