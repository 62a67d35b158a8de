"""A timeline says at each offset and moment what a replay of the log up to there says."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.control import lists, timeline
from models.control.records import (
    CapKey,
    Capped,
    ControlRecord,
    Key,
    Listed,
    ListKey,
    PolicyKey,
    Proposed,
    Removed,
    Value,
)
from models.control.state import ControlState
from models.control.timeline import Timeline
from models.policies.ruling import NO_CAPS

BEGIN = datetime(2026, 3, 1, tzinfo=timezone.utc)
POLICIES = ("a" * 32, "b" * 32)
NAMES = ("mules", "vips")
MOMENTS = st.integers(0, 8).map(lambda hours: BEGIN + timedelta(hours=hours))
ENTRIES = st.builds(ListKey, st.sampled_from(NAMES), st.sampled_from("abcd"))
SAID: st.SearchStrategy[tuple[Key, Value]] = st.one_of(
    st.tuples(
        ENTRIES,
        st.builds(Listed, author=st.just("x"), expires_at=st.one_of(st.none(), MOMENTS)),
    ),
    st.tuples(ENTRIES, st.builds(Removed)),
    st.tuples(
        st.builds(CapKey, st.sampled_from(POLICIES), st.sampled_from(["", "rule"])),
        st.builds(Capped, on=st.booleans(), share=st.just(0.5), author=st.just("w")),
    ),
)
ASKED = st.tuples(st.integers(0, 70), MOMENTS)
PROPOSED: list[tuple[Key, Value]] = [
    (PolicyKey(POLICIES[0]), Proposed(parent="", text="", author="x")),
    (PolicyKey(POLICIES[1]), Proposed(parent=POLICIES[0], text="", author="x")),
]


def log(said: Sequence[tuple[Key, Value]]) -> list[ControlRecord]:
    """Records at every other offset, as if others were in between."""
    return [ControlRecord(2 * at, 0, *each) for at, each in enumerate(said)]


def replayed(records: Sequence[ControlRecord], offset: int) -> ControlState:
    state = ControlState()
    for each in records:
        if each.offset < offset:
            state.apply(each)
    return state


def filled(records: Sequence[ControlRecord]) -> Timeline:
    made = Timeline()
    for each in records:
        made.apply(each)
    return made


def there(state: ControlState, now: datetime) -> dict[str, set[str]]:
    return {name: {*entries} for name, entries in state.lists.at(now).items() if entries}


def found(made: Timeline, offset: int | None, now: datetime) -> dict[str, set[str]]:
    return {name: {*entries} for name, entries in made.at(offset, now).items() if entries}


@given(st.lists(SAID, max_size=30), st.lists(ASKED, max_size=20), st.integers(0, 32))
def test_it_is_as_a_replay_in_whatever_order_it_is_asked(
    said: list[tuple[Key, Value]], asked: list[tuple[int, datetime]], at: int
) -> None:
    records = log([*said[:at], *PROPOSED, *said[at:]])
    made = filled(records)
    for offset, now in asked:
        state = replayed(records, offset)
        assert found(made, offset, now) == there(state, now)
        for policy in POLICIES:
            caps = state.caps[policy]
            assert made.caps(policy, offset) == caps.in_force
    assert made.next_offset == records[-1].offset + 1
    assert [each.id for each in made.chain.members] == [*POLICIES]


@given(st.lists(SAID, max_size=30), st.lists(ASKED, max_size=5))
def test_it_can_be_asked_while_it_is_read(
    said: list[tuple[Key, Value]], asked: list[tuple[int, datetime]]
) -> None:
    records, made = log(said), Timeline()
    for number, each in enumerate(records):
        made.apply(each)
        for offset, now in asked:
            assert found(made, offset, now) == there(replayed(records[: number + 1], offset), now)


@given(st.lists(SAID, max_size=30), ASKED)
def test_lists_can_be_taken_as_they_are_in_the_end(
    said: list[tuple[Key, Value]], asked: tuple[int, datetime]
) -> None:
    records, (offset, now) = log(said), asked
    made, last = filled(records), replayed(records, 2 * len(records))
    before = replayed(records, offset)
    assert found(made, None, now) == there(last, now)
    mixed = made.at(offset, now, latest=["vips"])
    assert {*mixed.get("vips", ())} == there(last, now).get("vips", set())
    assert {*mixed.get("mules", ())} == there(before, now).get("mules", set())


@given(st.lists(SAID, max_size=40), st.integers(0, 5), ASKED)
def test_entries_beyond_the_most_are_left_out_as_workers_leave_them_out(
    said: list[tuple[Key, Value]], most: int, asked: tuple[int, datetime]
) -> None:
    with (
        mock.patch.object(lists, "MAX_ENTRIES", most),
        mock.patch.object(timeline, "MAX_ENTRIES", most),
    ):
        records, (offset, now) = log(said), asked
        assert found(filled(records), offset, now) == there(replayed(records, offset), now)


@given(st.lists(SAID, max_size=30), MOMENTS, MOMENTS)
def test_nothing_changes_between_two_ends(
    said: list[tuple[Key, Value]], one: datetime, other: datetime
) -> None:
    made = filled(log(said))
    first, last = sorted([one, other])
    if not any(first < each <= last for each in made.expiries()):
        assert found(made, None, first) == found(made, None, last)


def test_lists_that_are_not_kept_are_forgotten() -> None:
    listed = Listed(author="x")
    made = filled(log([(ListKey(name, "a"), listed) for name in NAMES]))
    made.keep({"vips"})
    assert found(made, None, BEGIN) == {"vips": {"a"}}


@pytest.mark.parametrize("offset", [0, 5, 100])
def test_a_policy_that_is_not_known_has_no_caps(offset: int) -> None:
    key = CapKey(POLICIES[0], "")
    made = filled(log([(key, Capped(on=True, share=0.5, author="w"))]))
    assert made.caps(POLICIES[0], offset) == NO_CAPS
