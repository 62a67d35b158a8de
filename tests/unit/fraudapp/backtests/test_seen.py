"""Of each id, the first is new."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fraudapp.backtests.seen import Seen


@given(st.lists(st.lists(st.text(max_size=2), max_size=20), max_size=20))
def test_an_id_is_new_once(batches: list[list[str]]) -> None:
    seen, known = Seen(), set[str]()
    for batch in batches:
        for each, is_new in zip(batch, seen.add(batch).tolist(), strict=True):
            assert is_new == (each not in known)
            known.add(each)


def test_many_batches_leave_few_runs() -> None:
    seen = Seen()
    for number in range(500):
        assert seen.add([f"{number}-{each}" for each in range(20)]).all()
    assert len(seen._runs) < 10
    assert not seen.add(["0-0", "499-19", "250-7"]).any()
