"""The policy is monotone, and never lets a broken score through."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from models.policy import Policy
from models.records import Outcome

SEVERITY = [Outcome.APPROVE, Outcome.FLAG, Outcome.BLOCK]
probabilities = st.floats(0, 1)
policies = st.tuples(probabilities, probabilities).map(lambda two: Policy(min(two), max(two)))


@given(policies, probabilities, probabilities)
def test_a_higher_score_is_never_treated_more_leniently(
    policy: Policy, score: float, higher: float
) -> None:
    assume(higher >= score)
    outcomes = [policy.decide(each, flagged_upstream=False) for each in (score, higher)]
    assert SEVERITY.index(outcomes[1]) >= SEVERITY.index(outcomes[0])


@given(policies, probabilities, probabilities)
def test_a_higher_threshold_never_blocks_more(
    policy: Policy, block_at: float, score: float
) -> None:
    stricter = policy.decide(score, flagged_upstream=False) is Outcome.BLOCK
    looser = Policy(policy.flag_at, max(block_at, policy.block_at)).decide(
        score, flagged_upstream=False
    )
    assert stricter or looser is not Outcome.BLOCK


@given(policies, probabilities)
def test_what_was_flagged_upstream_is_blocked_whatever_the_score(
    policy: Policy, score: float
) -> None:
    assert policy.decide(score, flagged_upstream=True) is Outcome.BLOCK


@pytest.mark.parametrize(
    ("score", "outcome"),
    [(0, "APPROVE"), (0.4999, "APPROVE"), (0.5, "FLAG"), (0.7999, "FLAG"), (0.8, "BLOCK")],
)
def test_a_tie_takes_the_stricter_outcome(score: float, outcome: str) -> None:
    assert Policy().decide(score, flagged_upstream=False).value == outcome


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf, -0.1, 1.1])
@pytest.mark.parametrize("flagged", [True, False])
def test_a_score_that_is_no_probability_is_an_error(score: float, flagged: bool) -> None:
    with pytest.raises(ValueError, match=r"0\.\.1"):
        Policy().decide(score, flagged_upstream=flagged)


@pytest.mark.parametrize(("flag", "block"), [(0.9, 0.8), (-0.1, 0.8), (0.5, 1.1), (math.nan, 0.8)])
def test_thresholds_out_of_order_are_refused(flag: float, block: float) -> None:
    with pytest.raises(ValueError, match="flag_at"):
        Policy(flag, block)


def test_the_version_tells_the_thresholds() -> None:
    assert Policy(0.25, 0.75).version == "flag-0.25-block-0.75"


@given(policies)
def test_thresholds_can_be_told_by_their_version(policy: Policy) -> None:
    assert Policy.of(policy.version) == policy


@pytest.mark.parametrize("text", ["", "1+0", "flag-0.5", "flag-.-block-1", "flag-0.9-block-0.8"])
def test_another_text_is_no_version_of_thresholds(text: str) -> None:
    assert Policy.of(text) is None


@given(policies, policies)
def test_two_policies_share_a_version_only_if_they_are_the_same(one: Policy, other: Policy) -> None:
    assert (one.version == other.version) == (one == other)
    assert Policy(0.5, 0.8000001).version != Policy().version
