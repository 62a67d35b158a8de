"""An explanation adds up, and says what the model, the policy and the sender have done."""

from __future__ import annotations

import math
from datetime import datetime, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from msgspec.structs import replace

from models.deciding import Profiled, decide
from models.explanation import TOLERANCE, explanation
from models.policies.in_force import InForce, of_thresholds
from models.policies.reading import read
from models.policies.ruling import Ruling
from models.policy import Policy
from models.records import Decision, Outcome, Transaction
from models.schema.example import messages
from models.schema.schema import PAYSIM, preset
from models.scorer import Scorer
from tests.support import tiny_model
from tests.support.transactions import candidate, transaction, transactions

pytestmark = pytest.mark.slow

CARDS = preset("cards")
OF_CARDS = Scorer("m1", tiny_model.model(0.125, CARDS).body.compiled(17), CARDS)
profiles = st.dictionaries(st.sampled_from([*CARDS.definition.profile]), st.floats(0.0, 1e3))
NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc)
FILE = b"""
flag_at = 0.3
block_at = 0.9
[[rules]]
id = "large"
when = "amount > 100"
then = "flag"
reason = "It is large: {amount:,.2f}."
owner = "risk"
[[rules]]
id = "tried"
when = "amount > 100"
then = "block"
mode = "test"
reason = "It is tried."
owner = "risk"
"""


def decided(scorer: Scorer, each: Transaction, policy: InForce) -> Decision:
    (made,) = decide([candidate(each)], scorer=scorer, policy=policy, now=NOW)
    return made


@given(each=transactions)
def test_it_adds_up_to_the_score_whatever_was_decided(scorer: Scorer, each: Transaction) -> None:
    made = decided(scorer, each, of_thresholds(Policy(), PAYSIM))
    found = explanation(made, scorer, PAYSIM, Policy())
    parts = [*found.raising, *found.lowering]
    total = found.base.log_odds + math.fsum(part.contribution for part in parts)
    assert total == pytest.approx(found.log_odds, rel=1e-12, abs=1e-12)
    assert (found.recomputed.score, found.recomputed.is_same) == (made.score, True)
    assert (found.score, found.decision) == (made.score, made.decision)
    assert 0.0 < found.base.probability < 1.0


@given(each=transactions)
def test_what_raises_the_risk_and_what_lowers_it_are_apart_and_the_strongest_come_first(
    scorer: Scorer, each: Transaction
) -> None:
    found = explanation(decided(scorer, each, of_thresholds(Policy(), PAYSIM)), scorer, PAYSIM)
    raising = [part.contribution for part in found.raising]
    lowering = [part.contribution for part in found.lowering]
    assert raising == sorted(raising, reverse=True)
    assert lowering == sorted(lowering)
    assert all(each > 0.0 for each in raising)
    assert all(each < 0.0 for each in lowering)


def test_it_says_what_the_sender_and_the_thresholds_have_done(scorer: Scorer) -> None:
    made = decided(
        scorer, transaction(type="PAYMENT", isFlaggedFraud=1), of_thresholds(Policy(), PAYSIM)
    )
    found = explanation(made, scorer, PAYSIM, Policy.of(made.policy_version)).policy
    assert (found.flag_at, found.block_at, found.flagged_upstream) == (0.5, 0.8, True)
    assert found.reasons == [PAYSIM.flagged_upstream]
    assert (found.hits, found.explored) == ([], 0.0)


def test_it_says_which_rules_have_hit_and_what_they_ask_for(scorer: Scorer) -> None:
    file = read(FILE, PAYSIM)
    payment = transaction(type="PAYMENT", amount=250.0, oldbalanceOrg=9e4, nameDest="M1")
    made = decided(scorer, payment, InForce(Ruling(file, PAYSIM), "1+0"))
    assert made.decision is Outcome.FLAG
    found = explanation(made, scorer, PAYSIM, file).policy
    assert (found.flag_at, found.block_at) == (0.3, 0.9)
    assert [reason.text for reason in found.reasons] == ["It is large: 250.00."]
    assert [(hit.rule, hit.then, hit.mode) for hit in found.hits] == [
        ("large", "flag", "active"),
        ("tried", "block", "test"),
    ]
    unknown = explanation(made, scorer, PAYSIM).policy
    assert (unknown.flag_at, unknown.block_at) == (None, None)
    assert [(hit.rule, hit.then) for hit in unknown.hits] == [("large", None), ("tried", None)]


def test_a_score_that_cannot_be_computed_again_is_told(scorer: Scorer) -> None:
    made = decided(scorer, transaction(), of_thresholds(Policy(), PAYSIM))
    other = replace(made, score=made.score + 2 * TOLERANCE if made.score < 0.5 else 0.0)
    found = explanation(other, scorer, PAYSIM).recomputed
    assert (found.score, found.is_same) == (made.score, False)
    assert "cannot be what it was" in found.note
    remembered = explanation(replace(other, profile_version="v-1"), scorer, PAYSIM).recomputed
    assert "values of profiles were those of v-1, and the schema has none" in remembered.note


@given(profiles)
def test_it_is_made_of_the_values_of_profiles_that_the_decision_holds(
    known: dict[str, float],
) -> None:
    (each,) = (CARDS.parser.parse(line) for line in messages(CARDS)[:1])
    (made,) = decide(
        [candidate(each)],
        scorer=OF_CARDS,
        policy=of_thresholds(Policy(), CARDS),
        now=NOW,
        schema=CARDS,
        profiles=Profiled([known]),
    )
    found = explanation(made, OF_CARDS, CARDS)
    parts = [*found.raising, *found.lowering]
    total = found.base.log_odds + math.fsum(part.contribution for part in parts)
    assert total == pytest.approx(found.log_odds, rel=1e-12, abs=1e-12)
    assert found.recomputed.is_same
    (amount,) = (part for part in parts if part.code.startswith("AMOUNT"))
    assert amount.values["sender_mean_30d"] == known.get("sender_mean_30d")
    is_new = "sender_mean_30d" not in known
    assert (amount.code == "AMOUNT_NEW_CARD") == is_new
    assert ("times its usual amount" in amount.text) is not is_new


def test_as_json_it_has_for_and_against(scorer: Scorer) -> None:
    each = transaction(amount=1e6, oldbalanceOrg=1e6)
    made = decided(scorer, each, of_thresholds(Policy(), PAYSIM))
    told = json.decode(json.encode(explanation(made, scorer, PAYSIM)))
    parts = [*told["for"], *told["against"]]
    drain = next(part for part in parts if part["code"] == "TAKES_WHOLE_BALANCE")
    assert drain["values"] == {"amount": 1e6, "oldbalanceOrg": 1e6, "type": "TRANSFER"}
