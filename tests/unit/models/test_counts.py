"""Counts stay exact whatever is replayed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.counts import Counted, Counts, total

fates = st.sampled_from(["APPROVE", "FLAG", "BLOCK", "duplicate", "invalid"])
logs = st.lists(fates, max_size=30).map(
    lambda log: [Counted(offset, fate) for offset, fate in enumerate(log)]
)


@given(logs, st.data())
def test_any_crashes_and_replays_end_at_the_same_counts(
    log: list[Counted], data: st.DataObject
) -> None:
    counts, position = Counts(), 0
    while position < len(log):
        end = data.draw(st.integers(position + 1, len(log)))
        counts = counts.plus(log[position:end])
        # A crash: reading goes on at any offset that was already counted.
        position = data.draw(st.integers(0, end)) if data.draw(st.booleans()) else end
        if data.draw(st.integers(0, 4)) == 0:
            position = end
    assert counts == Counts().plus(log)
    assert sum(counts.fates.values()) == len(log)


def test_without_the_offset_a_replay_would_count_twice() -> None:
    log = [Counted(0, "APPROVE"), Counted(1, "BLOCK")]
    once = Counts().plus(log)
    assert once.plus(log) is once
    assert Counts(-1, once.fates).plus(log).fates == {"APPROVE": 2, "BLOCK": 2}


@given(logs, logs)
def test_totals_add_up_partitions_and_show_every_outcome(
    one: list[Counted], other: list[Counted]
) -> None:
    totals = total({0: Counts().plus(one), 7: Counts().plus(other)})
    assert set(totals.decisions) == {"APPROVE", "FLAG", "BLOCK"}
    counted = sum(totals.decisions.values()) + totals.duplicates
    assert counted + sum(totals.dead_letters.values()) == len(one) + len(other)
    assert set(totals.offsets) == {0, 7}
