"""Profiles are a function of what was read, however it was read, written and lost."""

from __future__ import annotations

from collections import Counter
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fraudapp.labels.records import LabelledRecord
from fraudapp.profiles.folding import Folded
from models.records import Decision
from tests.unit.fraudapp.profiles.shop import DELAY, NOW, folded, later, paid, told, values

CUSTOMERS, TERMINALS = ["C1", "C2", "C3"], ["T1", "T2"]
MUCH_LATER = later(3 * DELAY)

logs = st.lists(
    st.tuples(
        st.integers(0, 1),  # partition
        st.sampled_from(CUSTOMERS),
        st.sampled_from([*TERMINALS, None]),
        st.integers(1, 9_999),
        st.integers(0, 40 * 24),  # hours ago
    ),
    min_size=1,
    max_size=25,
).map(
    lambda rows: [
        paid(
            f"t{place}",
            customer,
            terminal,
            cents / 100,
            at=NOW - timedelta(hours=ago),
            partition=partition,
        )
        for place, (partition, customer, terminal, cents, ago) in enumerate(rows)
    ]
)


def of_partition(log: list[Decision], partition: int) -> list[Decision]:
    return [each for each in log if each.partition == partition]


def settled(profiles: Folded, partition: int, start: int, decisions: list[Decision]) -> bool:
    second = int(decisions[0].decided_at.timestamp())
    _, events = profiles.read([each.transaction for each in decisions], second)
    return profiles.settle(partition, start, events, b"")


@settings(max_examples=30)
@given(log=logs, data=st.data())
def test_reading_settling_writing_and_going_back_come_to_one_state(
    log: list[Decision], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        whole, mixed = folded(Path(folder) / "whole"), folded(Path(folder) / "mixed")
        for partition in (0, 1):
            whole.apply(partition, of_partition(log, partition), 1_000)
        parts = {each: of_partition(log, each) for each in (0, 1)}
        while left := [each for each in parts if mixed.decisions.get(each, 0) < len(parts[each])]:
            partition = data.draw(st.sampled_from(left))
            at = mixed.decisions.get(partition, 0)
            if data.draw(st.booleans()):
                end = data.draw(st.integers(at + 1, len(parts[partition])))
                mixed.apply(partition, parts[partition][at:end], end)
            else:
                assert settled(mixed, partition, at, parts[partition][at : at + 1])
            if data.draw(st.booleans()):
                mixed.write()
            if data.draw(st.integers(0, 5)) == 5:
                mixed.reopen()  # as after a crash
        assert values(mixed, CUSTOMERS, TERMINALS) == values(whole, CUSTOMERS, TERMINALS)
        mixed.write()
        mixed.reopen()
        assert values(mixed, CUSTOMERS, TERMINALS) == values(whole, CUSTOMERS, TERMINALS)
        whole.close()
        mixed.close()


def test_what_is_settled_from_another_offset_changes_nothing(tmp_path: Path) -> None:
    profiles = folded(tmp_path / "p")
    before = values(profiles, CUSTOMERS, TERMINALS)
    assert not settled(profiles, 0, 5, [paid("t1")])
    assert values(profiles, CUSTOMERS, TERMINALS) == before
    assert profiles.decisions == {}
    profiles.close()


def test_decisions_in_flight_are_seen_until_they_are_released(tmp_path: Path) -> None:
    profiles = folded(tmp_path / "p")
    _, events = profiles.read([paid("t1").transaction], int(NOW.timestamp()))
    assert values(profiles, ["C1"], ["T1"])["C1 T1"]["sent"] == 1
    profiles.release(events)
    assert values(profiles, ["C1"], ["T1"])["C1 T1"]["sent"] == 0
    _, events = profiles.read([paid("t1").transaction], int(NOW.timestamp()))
    profiles.land()
    assert values(profiles, ["C1"], ["T1"])["C1 T1"]["sent"] == 0
    assert profiles.settle(0, 0, events, b"")  # of before a rebalance, and in the log after all
    assert values(profiles, ["C1"], ["T1"])["C1 T1"]["sent"] == 1
    profiles.close()


def test_what_has_landed_takes_nothing_from_what_is_in_flight_since(tmp_path: Path) -> None:
    profiles = folded(tmp_path / "p")
    second = int(NOW.timestamp())
    _, before = profiles.read([paid("t1").transaction], second)
    profiles.land()
    profiles.read([paid("t2").transaction, paid("t3").transaction], second)
    profiles.release(before)
    assert values(profiles, ["C1"], ["T1"])["C1 T1"]["sent"] == 2
    profiles.close()


def test_an_empty_text_is_no_account(tmp_path: Path) -> None:
    profiles = folded(tmp_path / "p")
    profiles.apply(0, [paid("t1", terminal="", offset=0), paid("t2", terminal=None, offset=1)], 2)
    known, _ = profiles.read([paid("t3", terminal="").transaction], int(NOW.timestamp()))
    other, _ = profiles.read([paid("t4", terminal=None).transaction], int(NOW.timestamp()))
    assert known.known[0].keys() == other.known[0].keys()
    profiles.close()


def test_a_repeated_decision_changes_nothing(tmp_path: Path) -> None:
    profiles = folded(tmp_path / "p")
    log = [paid(f"t{place}", offset=place, at=later(place)) for place in range(4)]
    profiles.apply(0, log, 4)
    zombie = [paid("t1", amount=99.0, offset=1, at=later(9)), paid("t9", offset=9, at=later(9))]
    profiles.apply(0, zombie, 6)
    assert values(profiles, ["C1"], ["T1"], later(9))["C1 T1"]["sent"] == 5
    assert profiles.decisions == {0: 6}
    profiles.close()


def frauds(profiles: Folded, at: float = 3 * DELAY) -> dict[str, float]:
    found = values(profiles, ["C1"], TERMINALS, later(at))
    return {name.split()[1]: each["frauds"] for name, each in found.items()}


def test_labels_are_seen_from_their_time_on(tmp_path: Path) -> None:
    profiles = folded(tmp_path / "p")
    decision = paid("t1")
    profiles.apply(0, [decision], 1)
    profiles.add_labels([told(decision, 1, 0, offset=0)], {0: 1})
    assert frauds(profiles, 2 * DELAY - 1)["T1"] == 0
    assert frauds(profiles, 2 * DELAY)["T1"] == 1
    profiles.close()


said = st.lists(
    st.tuples(st.sampled_from(["t1", "t2", "t3"]), st.integers(0, 7)), min_size=1, max_size=20
)


@settings(max_examples=30)
@given(topic=said, data=st.data())
def test_of_labels_the_newest_of_each_id_counts_however_often_they_are_read(
    topic: list[tuple[str, int]], data: st.DataObject
) -> None:
    decisions = {f"t{n}": paid(f"t{n}", terminal=f"T{1 + n % 2}") for n in (1, 2, 3)}
    newest: dict[str, int] = {}
    for id_, version in topic:
        newest[id_] = max(newest.get(id_, 0), version)
    records: list[LabelledRecord] = [
        told(decisions[id_], 1 if version % 3 else 0, version, offset=place)
        for place, (id_, version) in enumerate(topic)
    ]
    with TemporaryDirectory() as folder:
        profiles = folded(Path(folder) / "p")
        profiles.apply(0, [*decisions.values()], 3)
        while profiles.next_labelled(0) < len(records):
            at = profiles.next_labelled(0)
            begin = data.draw(st.integers(0, at))
            end = data.draw(st.integers(at + 1, len(records)))
            profiles.add_labels(records[begin:end], {0: end})
            if data.draw(st.booleans()):
                profiles.apply_due(MUCH_LATER.timestamp())
            if data.draw(st.booleans()):
                profiles.write()
            if data.draw(st.integers(0, 4)) == 4:
                profiles.reopen()
                profiles.apply(0, [*decisions.values()], 3) if not profiles.decisions else None
        expected = Counter(
            decisions[id_].transaction.terminal_id for id_, version in newest.items() if version % 3
        )
        assert frauds(profiles) == {each: expected[each] for each in TERMINALS}
        profiles.close()


def test_labels_that_wait_are_read_again_after_a_crash(tmp_path: Path) -> None:
    profiles = folded(tmp_path / "p")
    decision = paid("t1")
    profiles.apply(0, [decision], 1)
    profiles.add_labels(
        [
            told(decision, 0, 0, offset=4),
            told(decision, 1, 1, offset=5, at=later(100)),
            told(decision, 0, 2, offset=7, at=later(200)),
        ],
        {0: 8},
    )
    profiles.apply_due(later(50).timestamp())
    profiles.write()
    assert profiles.next_labelled(0) == 8
    profiles.reopen()
    assert profiles.next_labelled(0) == 5
    profiles.close()


def test_profiles_that_are_cleared_begin_anew(tmp_path: Path) -> None:
    profiles = folded(tmp_path / "p")
    profiles.apply(0, [paid("t1")], 1)
    profiles.add_labels([told(paid("t1"), 1, 0, offset=0)], {0: 1})
    life = profiles.life
    profiles.clear()
    assert (profiles.decisions, profiles.next_labelled(0)) == ({}, 0)
    assert profiles.life != life
    assert values(profiles, ["C1"], ["T1"])["C1 T1"]["sent"] == 0
    profiles.close()


@pytest.mark.parametrize("many", [3_999, 4_000])
def test_much_that_differs_is_large(tmp_path: Path, many: int) -> None:
    profiles = folded(tmp_path / "p")
    profiles.apply(0, [paid(f"t{n}", f"C{n}", None) for n in range(many)], many)
    assert profiles.is_large == (many == 4_000)
    profiles.write()
    assert not profiles.is_large
    profiles.close()
