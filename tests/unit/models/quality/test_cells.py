"""Cells are a function of the decisions in the order of the log, however they are read."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from models.quality.cells import (
    KEPT_WEEKS,
    MAX_RULES,
    MAX_VERSIONS,
    OTHERS,
    Cell,
    DecisionCells,
    named,
)
from models.quality.weeks import end_of_day, name_of, week_at, week_of
from models.records import Decision, Outcome
from tests.support.decisions import DECIDED_AT, decision
from tests.unit.models.quality import recounted

PLACES = {"APPROVE": 0, "FLAG": 1, "BLOCK": 2}


def as_recounted(cells: DecisionCells) -> dict[recounted.Key, tuple[int, int, int]]:
    return {
        (name_of(number), model, policy, outcome): (cell.rows, cell.score, cell.explored)
        for number, week in cells.weeks.items()
        for model, policies in week.versions.items()
        for policy, by_outcome in policies.items()
        for outcome, place in PLACES.items()
        if (cell := by_outcome[place]).rows
    }


@given(recounted.many, st.data())
def test_every_decision_is_in_one_cell_whatever_batches_were_read(
    decisions: list[Decision], data: st.DataObject
) -> None:
    whole, parts = DecisionCells(), DecisionCells()
    whole.add(decisions)
    left = decisions
    while left:
        size = data.draw(st.integers(1, len(left)))
        parts.add(left[:size])
        left = left[size:]
    assert parts == whole
    assert list(parts.weeks) == list(whole.weeks)
    assert as_recounted(whole) == recounted.decided(decisions)
    rules = {
        (name_of(number), rule): count
        for number, week in whole.weeks.items()
        for rule, count in week.rules.items()
    }
    assert rules == recounted.hits(decisions)
    assert whole.rows == len(decisions)


@given(st.lists(st.tuples(st.sampled_from(Outcome), st.floats(0, 1)), min_size=1))
def test_what_was_decided_together_is_counted_alike(rows: list[tuple[Outcome, float]]) -> None:
    decisions = [
        decision(f"t{n}", decision=outcome, score=score, hits=["a"] * (n % 2))
        for n, (outcome, score) in enumerate(rows)
    ]
    one, other = DecisionCells(), DecisionCells()
    assert one.add(decisions, together=True) == other.add(decisions)
    assert one == other


def test_decisions_of_two_calls_are_told_apart() -> None:
    later = DECIDED_AT + timedelta(weeks=1)
    cells = DecisionCells()
    cells.add([decision("a"), decision("b", decided_at=later)], together=True)
    cells.add([decision("c"), decision("d", policy_version="7+1")], together=True)
    assert recounted.decided(
        [
            decision("a"),
            decision("b", decided_at=later),
            decision("c"),
            decision("d", policy_version="7+1"),
        ]
    ) == as_recounted(cells)


def of_week(number: int) -> Decision:
    return decision(f"w{number}", decided_at=DECIDED_AT + timedelta(weeks=number))


def test_the_weeks_that_were_counted_in_last_are_kept_as_a_whole() -> None:
    cells = DecisionCells()
    for number in range(KEPT_WEEKS):
        cells.add([of_week(number)])
    cells.add([of_week(0)])  # a clock was set back
    assert not cells.dropped
    changes = cells.add([of_week(1_000)])  # another one is ahead by years
    (dropped,) = cells.dropped
    assert name_of(dropped) == recounted.key_of(of_week(1))[0]
    assert changes.dropped.keys() == {dropped}
    cells.add([of_week(1)])  # what is not kept is not begun again
    assert dropped not in cells.weeks
    assert len(cells.weeks) == KEPT_WEEKS
    assert (cells.rows, cells.dropped_rows) == (KEPT_WEEKS + 3, 2)


def test_versions_and_rules_beyond_the_limit_are_counted_as_others() -> None:
    cells = DecisionCells()
    made = [
        decision(f"t{n}", policy_version=f"{n + 1}+0", hits=[f"r{n}"]) for n in range(MAX_RULES + 5)
    ]
    cells.add(made)
    (week,) = cells.weeks.values()
    policies = week.versions["m1"]
    assert list(policies) == [str(n + 1) for n in range(MAX_VERSIONS)]
    (others,) = week.versions[OTHERS].values()
    assert sum(cell.rows for cell in others) == len(made) - MAX_VERSIONS
    assert len(week.rules) == MAX_RULES + 1
    assert week.rules[OTHERS] == 5
    cells.add([decision("again", policy_version="1+9", hits=["r0"])])
    assert policies["1"][2].rows == week.rules["r0"] == 2
    assert named(week, "m1", "1") == ("m1", "1")
    assert named(week, "m1", "999") == (OTHERS, OTHERS)


def test_a_week_with_room_has_no_others() -> None:
    cells = DecisionCells()
    cells.add([decision()])
    (week,) = cells.weeks.values()
    assert named(week, "m1", "999") == ("m1", "999") == named(None, "m1", "999")


def test_nothing_changes_nothing() -> None:
    cells = DecisionCells()
    changes = cells.add([], together=True)
    assert (changes.versions, changes.weeks, changes.order) == (set(), set(), False)
    assert cells == DecisionCells()


def test_scores_are_rounded_to_a_millionth_each() -> None:
    cells = DecisionCells()
    cells.add([decision(f"t{n}", score=4e-7, decision=Outcome.APPROVE) for n in range(3)])
    cells.add([decision(f"u{n}", score=6e-7, decision=Outcome.APPROVE) for n in range(3)])
    (week,) = cells.weeks.values()
    assert week.versions["m1"]["p1"][0] == Cell(6, 3, 0)


@given(st.datetimes(timezones=st.just(DECIDED_AT.tzinfo)))
def test_a_week_is_named_by_its_monday(moment: object) -> None:
    assert isinstance(moment, type(DECIDED_AT))
    week, day = week_of(moment)
    assert name_of(week) == (moment.date() - timedelta(days=moment.weekday())).isoformat()
    assert day == moment.weekday()
    assert week_at(moment.timestamp()) == week
    assert end_of_day(week, day) - 86_400 <= moment.timestamp() < end_of_day(week, day)
