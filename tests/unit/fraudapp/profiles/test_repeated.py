"""Of several decisions under one id, the first one of the log is the one that counts."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from fraudapp.profiles.repeated import REMEMBERED, Repeated
from models.records import Decision
from tests.support.decisions import DECIDED_AT, decision


def made(rows: list[tuple[int, int, bool]]) -> list[Decision]:
    """A log: inputs are decided in their order, and a frozen worker repeats some of them late."""
    found: list[Decision] = []
    ends = {0: 0, 1: 0, 2: 0}
    for place, (source, skew, repeats) in enumerate(rows):
        offset = ends[source] - 1 - abs(skew) if repeats else ends[source]
        if offset < 0:
            continue
        ends[source] += not repeats
        moment = DECIDED_AT + timedelta(seconds=place + skew)
        id_ = f"t{source}-{offset}"
        found.append(decision(id_, partition=source, offset=offset, decided_at=moment))
    return found


rows = st.tuples(st.integers(0, 2), st.integers(-2, 2), st.booleans())
logs = st.lists(rows, max_size=30).map(made)


@given(log=logs, data=st.data())
def test_each_id_is_new_once_however_the_log_is_read(
    log: list[Decision], data: st.DataObject
) -> None:
    repeated, at, found = Repeated(), 0, list[Decision]()
    while at < len(log):
        end = data.draw(st.integers(at + 1, len(log)))
        if data.draw(st.integers(0, 3)) == 3:  # after a restart only the ids are read again
            repeated = Repeated()
            repeated.add([each.transaction_id.encode() for each in log[:at]])
        found += repeated.new(log[at:end])
        at = end
    first = {each.transaction_id: each for each in reversed(log)}
    assert found == [each for each in log if first[each.transaction_id] is each]


def test_as_many_ids_are_remembered_as_promised() -> None:
    repeated = Repeated()
    keys = [f"t{place}".encode() for place in range(REMEMBERED + 1)]
    repeated.add(keys[:1])
    repeated.add(keys[1:])
    assert repeated.new([decision("t1")]) == []
    assert len(repeated.new([decision("t0")])) == 1
