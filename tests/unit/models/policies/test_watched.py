"""A cap begins above its limit, ends after a calm, and needs enough decisions to mean anything."""

from __future__ import annotations

import pytest

from models.policies.definition import Caps, PolicyFile, Rule
from models.policies.ruling import NO_CAPS, Begun
from models.policies.shares import ALL, Counts
from models.policies.watched import Watched
from models.records import Outcome
from tests.support.decisions import decision

CALM = 30
POLICY = PolicyFile(
    rules=[Rule(id="all", when="amount > 0", then="block", reason="So.", owner="o")],
    caps=Caps(
        block_share=0.1, rule_share=0.2, window_seconds=10, min_decisions=100, calm_seconds=CALM
    ),
)
HIGH, LOW = Counts(100, {ALL: 11}), Counts(100, {ALL: 10})
ON_ALL = Begun(on_all=True)


@pytest.fixture
def watched() -> Watched:
    return Watched(POLICY)


def test_a_cap_begins_as_soon_as_its_share_is_above_the_limit(watched: Watched) -> None:
    assert watched.due(LOW, NO_CAPS, 0.0) == {}
    assert watched.due(HIGH, NO_CAPS, 0.0) == {ALL: True}


def test_a_cap_does_not_begin_with_fewer_decisions_than_mean_anything(watched: Watched) -> None:
    assert watched.due(Counts(99, {ALL: 99}), NO_CAPS, 0.0) == {}
    assert watched.due(Counts(100, {ALL: 99}), NO_CAPS, 0.0) == {ALL: True}


def test_the_cap_of_a_rule_is_another_one(watched: Watched) -> None:
    assert watched.due(Counts(100, {"all": 21}), NO_CAPS, 0.0) == {"all": True}
    both = Counts(100, {ALL: 100, "all": 100})
    assert watched.due(both, NO_CAPS, 0.0) == {ALL: True, "all": True}
    assert watched.due(both, ON_ALL, 0.0) == {"all": True}
    assert watched.due(both, Begun(True, frozenset({"all"})), 0.0) == {}


def test_a_rule_without_a_cap_is_never_capped() -> None:
    watched = Watched(PolicyFile(rules=POLICY.rules, caps=Caps(block_share=0.1)))
    assert watched.due(Counts(100, {"all": 100}), NO_CAPS, 0.0) == {}
    assert watched.due(LOW, Begun(rules=frozenset({"all"})), 0.0) == {}


@pytest.mark.parametrize("calm", [LOW, Counts(5, {ALL: 5}), Counts()])
def test_a_cap_ends_after_a_whole_calm(watched: Watched, calm: Counts) -> None:
    assert watched.due(calm, ON_ALL, 0.0) == {}
    assert watched.due(calm, ON_ALL, CALM - 0.1) == {}
    assert watched.due(calm, ON_ALL, CALM) == {ALL: False}


def test_a_calm_that_is_broken_begins_anew(watched: Watched) -> None:
    watched.due(LOW, ON_ALL, 0.0)
    assert watched.due(HIGH, ON_ALL, CALM - 1.0) == {}
    assert watched.due(LOW, ON_ALL, CALM) == {}
    assert watched.due(LOW, ON_ALL, 2 * CALM - 0.1) == {}
    assert watched.due(LOW, ON_ALL, 2 * CALM) == {ALL: False}


def test_a_cap_that_is_ended_while_its_share_is_high_begins_again(watched: Watched) -> None:
    assert watched.due(HIGH, ON_ALL, 0.0) == {}
    assert watched.due(HIGH, NO_CAPS, 0.1) == {ALL: True}


def test_the_patient_wait_and_are_not_told_when_it_was_done(watched: Watched) -> None:
    assert watched.due(HIGH, NO_CAPS, 0.0, patience=0.5) == {}
    assert watched.due(HIGH, NO_CAPS, 0.4, patience=0.5) == {}
    assert watched.due(HIGH, ON_ALL, 0.5, patience=0.5) == {}
    assert watched.due(HIGH, NO_CAPS, 0.6, patience=0.5) == {}
    assert watched.due(HIGH, NO_CAPS, 1.1, patience=0.5) == {ALL: True}
    assert watched.due(LOW, ON_ALL, 2.0, patience=0.5) == {}
    assert watched.due(LOW, ON_ALL, 2.0 + CALM, patience=0.5) == {}
    assert watched.due(LOW, ON_ALL, 2.5 + CALM, patience=0.5) == {ALL: False}


def test_a_share_rises_until_its_cap_has_begun(watched: Watched) -> None:
    assert not watched.rising(LOW, NO_CAPS)
    assert watched.rising(HIGH, NO_CAPS)
    assert not watched.rising(HIGH, ON_ALL)
    assert watched.rising(Counts(1, {ALL: 1, "all": 1}), ON_ALL)


def test_what_was_counted_leaves_with_the_window(watched: Watched) -> None:
    blocked = decision(decision=Outcome.BLOCK, hits=["all"])
    watched.count([blocked, decision(decision=Outcome.APPROVE)], 5.0)
    assert watched.own(5.0) == Counts(2, {ALL: 1, "all": 1})
    assert watched.own(14.9) == Counts(2, {ALL: 1, "all": 1})
    assert watched.own(15.0) == Counts()


def test_the_sentence_says_what_was_counted(watched: Watched) -> None:
    said = watched.why(ALL, Counts(2_000, {ALL: 1_500}))
    assert said == "1,500 of 2,000 decisions in 10 s; the cap is a share of 0.1."
