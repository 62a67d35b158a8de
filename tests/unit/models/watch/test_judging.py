"""Each kind of change is told once, with the day since which it lasts; chance is not told."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from msgspec.structs import replace

from models.watch.cells import Cell, Day
from models.watch.documents import Alarm
from models.watch.expected import Expected
from models.watch.judging import ADVICE, MANY, is_whole, watched
from tests.unit.models.watch.making import USUAL, cell

NOON = 43_200.0
TODAY = 20


def alarms(
    days: Mapping[int, Day], expected: Expected | None = USUAL, today: int = TODAY
) -> list[Alarm]:
    return watched(days, lambda version: expected, today * 86_400 + NOON).alarms


def usual(*numbers: int) -> dict[int, Day]:
    return {number: {"m": cell()} for number in numbers}


def test_usual_days_raise_no_alarm() -> None:
    assert alarms(usual(*range(10, TODAY + 1))) == []
    assert alarms({}) == []


def test_a_feature_with_other_values_is_named() -> None:
    moved = cell(features=[[0, 10_000, 20_000, 30_000, 40_000], [0, 90_000, 10_000]])
    (alarm,) = alarms({TODAY: {"m": moved}})
    assert (alarm.kind, alarm.feature, alarm.model) == ("feature", "size", "m")
    assert (alarm.day, alarm.since) == ("1970-01-21", "1970-01-21")
    assert "PSI 0.23 over 100,000 transactions" in alarm.says
    assert alarm.advice == ADVICE["feature"]


def test_a_feature_that_has_wandered_in_training_may_go_farther() -> None:
    moved = cell(features=[[0, 10_000, 20_000, 30_000, 40_000], [0, 90_000, 10_000]])
    for wandering, is_told in ((0.1, True), (0.2, False)):
        bins = replace(USUAL.features["size"], wandering=wandering)
        by_card = replace(USUAL, features=USUAL.features | {"size": bins})
        assert bool(alarms({TODAY: {"m": moved}}, by_card)) == is_told


def test_what_is_missed_is_told_first() -> None:
    moved = cell(high=0, features=[[0, 100_000, 0, 0, 0], [0, 90_000, 10_000]])
    kinds = [each.kind for each in alarms({TODAY: {"m": moved}})]
    assert kinds[0] == "high_scores"
    assert kinds[-1] == "feature"


@pytest.mark.parametrize(("high", "advice"), [(0, ADVICE["high_scores"]), (5_000, MANY)])
def test_few_and_many_high_scores_ask_for_different_things(high: int, advice: str) -> None:
    (alarm, *_) = alarms({TODAY: {"m": cell(high=high)}})
    assert alarm.advice == advice


def test_values_that_are_missing_are_a_change() -> None:
    lost = cell(features=[[0, 25_000, 25_000, 25_000, 25_000], [60_000, 36_000, 4_000]])
    assert [each.feature for each in alarms({TODAY: {"m": lost}})] == ["is_new"]


def test_scores_that_are_distributed_otherwise_are_told() -> None:
    found = alarms({TODAY: {"m": cell(scores=[0, 0, 0, 0, 99_850, 30, 20, 20, 80])}})
    assert [each.kind for each in found] == ["scores"]


@pytest.mark.parametrize("high", [0, 3, 400, 5_000])
def test_a_model_gone_blind_or_wild_is_told(high: int) -> None:
    found = {each.kind: each for each in alarms({TODAY: {"m": cell(high=high)}})}
    assert found["high_scores"].observed in (high, high + 20)
    assert "of 100,000 transactions have a score from" in found["high_scores"].says


@pytest.mark.parametrize("high", [40, 80, 140])
def test_as_many_high_scores_as_other_days_have_are_not(high: int) -> None:
    assert alarms({TODAY: {"m": cell(high=high)}}) == []


def test_scores_that_are_no_longer_certain_are_told() -> None:
    scores = [29_900, 30_000, 20_000, 10_000, 9_900, 90, 80, 10, 20]
    found = alarms({TODAY: {"m": cell(scores=scores)}})
    assert "certainty" in [each.kind for each in found]


def test_an_alarm_says_since_when_without_a_break() -> None:
    days = usual(*range(10, 17))
    days |= {number: {"m": cell(high=0)} for number in (14, 17, 18, 19, TODAY)}
    found = {each.kind: each for each in alarms(days)}
    assert found["high_scores"].since == "1970-01-18"
    assert found["high_scores"].day == "1970-01-21"


@pytest.mark.parametrize(("blocks", "is_told"), [(0, True), (60, False), (110, False), (400, True)])
def test_blocks_are_compared_with_those_of_the_days_before(blocks: int, is_told: bool) -> None:
    days = usual(16, 17, 18, 19) | {TODAY: {"m": cell(blocks=blocks)}}
    assert [each.kind for each in alarms(days)] == ["blocks"] * is_told


def test_the_first_days_have_nothing_to_be_compared_with() -> None:
    assert alarms(usual(19) | {TODAY: {"m": cell(blocks=9_000)}}) == []


def test_blocks_where_there_were_none_are_told_once_they_are_many() -> None:
    days: dict[int, Day] = {number: {"m": cell(blocks=0)} for number in (17, 18, 19)}
    assert alarms(days | {TODAY: {"m": cell(blocks=1)}}) == []
    assert [each.kind for each in alarms(days | {TODAY: {"m": cell(blocks=80)}})] == ["blocks"]


def test_the_night_is_not_judged_and_the_day_before_still_is() -> None:
    night = {TODAY: {"m": cell(2_000, high=400)}}
    assert alarms(usual(17, 18, 19) | night) == []
    days = usual(17, 18) | {19: {"m": cell(high=0)}} | night
    assert {each.day for each in alarms(days)} == {"1970-01-20"}
    told = watched(days, lambda version: USUAL, TODAY * 86_400 + NOON).models[0].days
    assert told[0].unjudged == "it has less than half of a usual day's transactions"
    assert told[1].unjudged == ""


def test_a_model_that_has_begun_in_the_night_is_judged_on_the_next_day() -> None:
    days: dict[int, Day] = usual(17, 18)
    days[19] = {"m": cell(), "new": cell(2_000, high=400)}
    assert not is_whole(days, 19, "new")
    days[TODAY] = {"new": cell(3_000, high=400)}
    assert alarms(days) == []
    days[TODAY] = {"new": cell(high=0)}
    assert {each.model for each in alarms(days) if each.model} == {"new"}


def test_a_model_with_a_share_of_the_traffic_is_judged_by_its_own_days() -> None:
    days: dict[int, Day] = {
        number: {"m": cell(), "part": cell(20_000)} for number in range(15, TODAY + 1)
    }
    assert is_whole(days, TODAY, "part")
    days[TODAY]["part"] = cell(9_000, high=0)
    assert alarms(days) == []
    days[TODAY]["part"] = cell(20_000, high=0)
    assert {each.model for each in alarms(days)} == {"part"}


def test_a_model_that_serves_no_more_is_not_told_of_in_alarms() -> None:
    assert alarms({10: {"m": cell(high=0)}}) == []


def test_days_to_come_are_left_out() -> None:
    days = {**usual(19, TODAY), TODAY + 400: {"m": cell(high=0)}}
    told = watched(days, lambda version: USUAL, TODAY * 86_400 + NOON)
    assert told.alarms == []
    assert [each.day for each in told.models[0].days] == ["1970-01-21", "1970-01-20"]


def test_an_old_card_leaves_features_out_and_says_so() -> None:
    old = Expected(rows=USUAL.rows, scores=USUAL.scores)
    moved = cell(high=0, bins="", features=[])
    assert [each.kind for each in alarms({TODAY: {"m": moved}}, old)] == ["high_scores"]
    (day,) = (
        watched({TODAY: {"m": moved}}, lambda version: old, TODAY * 86_400 + NOON).models[0].days
    )
    assert day.unjudged == "its features are not: the card has no bins of them"
    assert (day.features, day.high[0].by_scores) == ({}, None)


def test_without_a_card_only_blocks_are_judged() -> None:
    days = usual(17, 18, 19) | {TODAY: {"m": cell(high=0, blocks=0)}}
    assert [each.kind for each in alarms(days, None)] == ["blocks"]


def test_cells_of_other_bins_are_not_compared() -> None:
    other = cell(bins="other", features=[[100_000]])
    assert alarms({TODAY: {"m": other}}) == []


def test_a_cell_without_rows_is_nothing() -> None:
    assert alarms({TODAY: {"m": Cell()}}) == []
