"""Counts stay exact, whichever inputs are read again after a crash."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from models.counts import Counted, Counts, total

fates = st.sampled_from(["duplicate", "invalid", "conflict"])
logs = st.lists(fates, min_size=1, max_size=30).map(
    lambda log: [Counted(offset, fate) for offset, fate in enumerate(log)]
)
outcomes = st.dictionaries(st.sampled_from(["APPROVE", "FLAG", "BLOCK"]), st.integers(0, 99))


def whole(log: list[Counted], decisions: dict[str, int]) -> Counts:
    return Counts().plus(log, offset=log[-1].offset, decisions=decisions)


@given(logs, outcomes, st.data())
def test_any_crashes_and_replays_end_at_the_same_counts(
    log: list[Counted], decisions: dict[str, int], data: st.DataObject
) -> None:
    counts, position, crashes = Counts(), 0, 0
    while position < len(log):
        end = data.draw(st.integers(position + 1, len(log)))
        counts = counts.plus(log[position:end], offset=end - 1, decisions=decisions)
        position = end
        if crashes < 5 and data.draw(st.booleans()):  # read again from any earlier offset
            crashes += 1
            position = data.draw(st.integers(0, end))
    assert counts == whole(log, decisions)
    assert sum(counts.fates.values()) == len(log) + sum(decisions.values())


def test_without_the_offset_a_replay_would_count_twice() -> None:
    log = [Counted(0, "invalid"), Counted(1, "duplicate")]
    once = whole(log, {})
    assert once.plus(log, offset=1, decisions={}) == once
    forgetful = Counts(-1, once.fates)
    assert forgetful.plus(log, offset=1, decisions={}).fates == {"invalid": 2, "duplicate": 2}


def test_decisions_are_totals_and_replace_what_was_there() -> None:
    counts = Counts(3, {"APPROVE": 7, "BLOCK": 2, "duplicate": 1})
    assert counts.plus([], offset=4, decisions={"APPROVE": 8}) == Counts(
        4, {"duplicate": 1, "APPROVE": 8}
    )


@given(logs, outcomes, logs, outcomes)
def test_totals_add_up_partitions_and_show_every_outcome(
    one: list[Counted],
    decisions: dict[str, int],
    other: list[Counted],
    more: dict[str, int],
) -> None:
    totals = total({0: whole(one, decisions), 7: whole(other, more)})
    assert set(totals.decisions) == {"APPROVE", "FLAG", "BLOCK"}
    assert sum(totals.decisions.values()) == sum(decisions.values()) + sum(more.values())
    rest = totals.duplicates + sum(totals.dead_letters.values())
    assert rest == len(one) + len(other)
    assert set(totals.offsets) == {0, 7}


topics = st.lists(st.tuples(logs, st.sampled_from(["a", "b", "c", ""])), min_size=1, max_size=6)


@given(topics, st.data())
def test_each_topic_of_the_name_is_counted_once_whatever_is_replayed(
    topics: list[tuple[list[Counted], str]], data: st.DataObject
) -> None:
    counts, wanted, before = Counts(), 0, ""
    for log, topic_id in topics:
        if topic_id == before:
            continue
        if "" in (topic_id, before):  # without an id, a topic is another one if it is shorter
            log = log[: max(0, counts.offset)]
        if not log:
            continue
        wanted, before = wanted + len(log), topic_id
        for _ in range(data.draw(st.integers(1, 3))):  # read by one worker after the other
            next_offset = counts.since + data.draw(st.integers(0, 5))
            counts = counts.at(topic_id, end=len(log), next_offset=next_offset)
            position = data.draw(st.integers(0, counts.offset + 1))
            counts = counts.plus(log[position:], offset=len(log) - 1, decisions={})
        assert counts.offset == len(log) - 1
        assert sum(counts.fates.values()) == wanted


@given(logs, st.integers(0, 40), st.integers(0, 99))
def test_what_has_come_in_place_of_a_lost_end_is_counted(
    log: list[Counted], end: int, next_offset: int
) -> None:
    counts = whole(log, {}).at("a", end=len(log), next_offset=0)
    cut = counts.at("a", end=end, next_offset=next_offset)
    assert cut.offset == (-1 if end < len(log) else counts.offset)
    assert cut.fates == counts.fates
    assert cut.since == 0  # the records at the positions of decisions are still the same


def test_counts_without_a_topic_id_belong_to_the_present_topic() -> None:
    before = Counts(7, {"invalid": 3})
    assert before.at("a", end=8, next_offset=5) == Counts(7, {"invalid": 3}, "a")
    assert before.at("", end=8, next_offset=5) == before
    assert Counts(7, {}, "a").at("", end=8, next_offset=5) == Counts(7, {}, "a")


def test_decisions_of_a_replaced_log_belong_to_no_earlier_topic() -> None:
    assert Counts(7, {}, "a", since=9).at("a", end=8, next_offset=8) == Counts(7, {}, "a")
    assert Counts(7, {}, "a", since=9).at("a", end=8, next_offset=9) == Counts(7, {}, "a", since=9)
