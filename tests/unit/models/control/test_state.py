"""The state is a function of the log: a naive replay says the same of each of its prefixes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.control import chain as chain_module
from models.control.records import (
    ROOT,
    Approved,
    CapKey,
    Capped,
    ControlRecord,
    Listed,
    ListKey,
    PolicyKey,
    Proposed,
    Removed,
)
from models.control.state import Change, ControlState

NOW = datetime(2026, 3, 4, tzinfo=timezone.utc)
IDS = [f"{each:032x}" for each in range(1, 7)]
AUTHORS = ["ann", "ben"]
BAD = "this is no TOML"

ids, authors = st.sampled_from(IDS), st.sampled_from(AUTHORS)
said = st.one_of(
    st.tuples(
        ids.map(PolicyKey),
        st.builds(
            Proposed,
            parent=st.sampled_from([ROOT, *IDS]),
            text=st.sampled_from(["", "", "", BAD]),
            author=authors,
            needs_approval=st.booleans(),
        ),
    ),
    st.tuples(ids.map(PolicyKey), st.builds(Approved, author=authors)),
    st.tuples(
        st.builds(CapKey, ids, st.sampled_from(["", "a"])),
        st.builds(Capped, on=st.booleans(), share=st.just(0.5), author=authors),
    ),
    st.tuples(
        st.builds(ListKey, st.sampled_from(["mules", "friends"]), st.sampled_from("ab")),
        st.one_of(
            st.builds(Removed),
            st.builds(
                Listed,
                author=authors,
                expires_at=st.sampled_from([None, NOW, NOW + timedelta(hours=1)]),
            ),
        ),
    ),
)


@st.composite
def logs(draw: st.DrawFn) -> list[ControlRecord]:
    """Records in the order of the log, with gaps, in which most policies may follow the last."""
    offsets = sorted(draw(st.sets(st.integers(0, 200), max_size=40)))
    records = [ControlRecord(each, each * 1_000, *draw(said)) for each in offsets]
    heads = [ROOT]
    for place, record in enumerate(records):
        if isinstance(record.value, Proposed) and isinstance(record.key, PolicyKey):
            if draw(st.integers(0, 3)):
                value = Proposed(
                    parent=heads[-1],
                    text=record.value.text,
                    author=record.value.author,
                    needs_approval=record.value.needs_approval,
                )
                records[place] = record._replace(value=value)
            heads.append(record.key.id)
    return records


def naive(records: Sequence[ControlRecord]) -> dict[str, Any]:
    """What the log says, by its description."""
    chain: list[str] = []
    first: dict[str, Proposed] = {}
    waiting: set[str] = set()
    caps: dict[tuple[str, str], tuple[int, bool]] = {}
    entries: dict[tuple[str, str], datetime | None] = {}
    for offset, _, key, value in records:
        match key, value:
            case PolicyKey(id_), Proposed() if id_ not in first:
                first[id_] = value
                if value.parent == (chain[-1] if chain else ROOT):
                    if value.needs_approval or (chain and first[chain[-1]].needs_approval):
                        waiting.add(id_)
                    else:
                        chain.append(id_)
            case PolicyKey(id_), Approved() if id_ in waiting:
                if value.author != first[id_].author:
                    waiting.discard(id_)
                    if first[id_].parent == (chain[-1] if chain else ROOT):
                        chain.append(id_)
            case CapKey(), Capped() if key.policy in chain:
                if caps.get(key, (0, False))[1] is not value.on:
                    caps[key] = offset, value.on
            case ListKey(), Listed():
                entries[key] = value.expires_at
            case ListKey(), Removed():
                entries.pop(key, None)
    return {
        "chain": chain,
        "waiting": waiting,
        "late": first.keys() - set(chain) - waiting,
        "caps": {tuple(key) for key, (_, on) in caps.items() if on},
        "entries": {tuple(key) for key, end in entries.items() if end is None or end > NOW},
    }


def told(state: ControlState) -> dict[str, Any]:
    """The same, by the state."""
    fates = {
        fate: {id_ for id_, each in state.chain.candidates.items() if each.fate == fate}
        for fate in ("waits for approval", "too late")
    }
    return {
        "chain": [each.id for each in state.chain.members],
        "waiting": fates["waits for approval"],
        "late": fates["too late"],
        "caps": {(id_, rule) for id_, caps in state.caps.items() for rule in caps.begun},
        "entries": {
            (name, each) for name, entries in state.lists.at(NOW).items() for each in entries
        },
    }


def whole(state: ControlState) -> dict[str, Any]:
    """All that a state says, for comparison."""
    return {
        **told(state),
        "candidates": [*state.chain.candidates.values()],
        "next_offset": state.next_offset,
        "lists": [state.lists.next_offset([each]) for each in ("mules", "friends")],
        "cap offsets": {id_: caps.next_offset for id_, caps in state.caps.items() if caps.begun},
    }


@given(logs())
def test_the_state_is_what_a_naive_replay_says_of_each_prefix(records: list[ControlRecord]) -> None:
    state = ControlState()
    for place, record in enumerate(records, 1):
        before, head = told(state), state.chain.head
        change = state.apply(record)
        assert told(state) == naive(records[:place])
        assert (change is Change.POLICY) == (state.chain.head != head)
        assert (change is Change.CAPS) == (told(state)["caps"] != before["caps"])
        assert state.next_offset == record.offset + 1


@given(logs())
def test_the_chain_is_a_path_from_the_root_with_consecutive_numbers(
    records: list[ControlRecord],
) -> None:
    state = ControlState()
    for record in records:
        state.apply(record)
    members = state.chain.members
    assert [each.number for each in members] == [*range(1, len(members) + 1)]
    assert [each.proposed.parent for each in members] == [ROOT, *(each.id for each in members)][:-1]
    assert [state.chain.member(each.number) for each in members] == members
    assert state.chain.member(0) is state.chain.member(len(members) + 1) is None
    outside = [each for each in state.chain.candidates.values() if not each.number]
    assert all(each.why and each.fate != "in the chain" for each in outside)
    assert all(not each.why and each.fate == "in the chain" for each in members)
    offsets = [each.offset for each in state.chain.candidates.values()]
    assert offsets == sorted(offsets)


@given(logs(), st.data())
def test_what_was_read_twice_says_what_was_read_once(
    records: list[ControlRecord], data: st.DataObject
) -> None:
    once, twice = ControlState(), ControlState()
    for place, record in enumerate(records, 1):
        once.apply(record)
        twice.apply(record)
        for again in records[data.draw(st.integers(0, place)) : place]:
            assert twice.apply(again) is Change.NOTHING
    assert whole(twice) == whole(once)


@given(st.permutations(range(6)), st.lists(st.booleans(), min_size=6, max_size=6))
def test_of_several_on_one_parent_the_first_in_the_log_wins_whatever_its_text(
    order: list[int], good: list[bool]
) -> None:
    state = ControlState()
    for offset, each in enumerate(order):
        text = "" if good[each] else BAD
        value = Proposed(parent=ROOT, text=text, author="ann")
        state.apply(ControlRecord(offset, 0, PolicyKey(IDS[each]), value))
    winners = order[:1]
    assert [each.id for each in state.chain.members] == [IDS[each] for each in winners]


def proposed(number: int, **changes: Any) -> ControlRecord:
    given: dict[str, Any] = {"parent": ROOT, "text": "", "author": "ann", **changes}
    return ControlRecord(number, 0, PolicyKey(f"{number:032x}"), Proposed(**given))


def test_a_cap_of_an_unknown_policy_or_of_one_outside_the_chain_changes_nothing() -> None:
    state = ControlState()
    state.apply(proposed(0))
    state.apply(proposed(1))  # too late
    state.apply(proposed(2, parent=f"{0:032x}", needs_approval=True))
    value = Capped(on=True, share=0.5, author="worker")
    for offset, policy in enumerate((1, 2, 7), 3):
        found = state.apply(ControlRecord(offset, 0, CapKey(f"{policy:032x}", "a"), value))
        assert found is Change.NOTHING
    assert not any(caps.begun for caps in state.caps.values())
    assert state.apply(ControlRecord(6, 0, CapKey(f"{0:032x}", "a"), value)) is Change.CAPS


def test_the_first_policies_outside_the_chain_are_forgotten_when_there_are_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chain_module, "MAX_OUTSIDE", 3)
    state = ControlState()
    state.apply(proposed(0))
    head = f"{0:032x}"
    waiting = [proposed(each, parent=head, needs_approval=True) for each in (1, 2, 3, 4)]
    for record in waiting:
        state.apply(record)
    assert [*state.chain.candidates] == [f"{each:032x}" for each in (0, 2, 3, 4)]
    for offset, each in enumerate((1, 2), 5):
        approval = Approved(author="ben")
        state.apply(ControlRecord(offset, 0, PolicyKey(f"{each:032x}"), approval))
    assert [each.id for each in state.chain.members] == [head, f"{2:032x}"]
    for each in range(7, 20):
        state.apply(proposed(each))
    assert [*state.chain.candidates] == [f"{each:032x}" for each in (0, 2, 17, 18, 19)]


def test_texts_of_policies_outside_the_chain_take_no_more_memory_than_is_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(chain_module, "MAX_OUTSIDE_CHARACTERS", 1_000)
    state = ControlState()
    state.apply(proposed(0, text="#" * 2_000))
    for each in range(1, 100):
        state.apply(proposed(each, text="#" * 300))
    assert [*state.chain.candidates] == [f"{each:032x}" for each in (0, 97, 98, 99)]
    state.apply(proposed(100, text="#" * 1_001))
    assert [*state.chain.candidates] == [f"{0:032x}"]
