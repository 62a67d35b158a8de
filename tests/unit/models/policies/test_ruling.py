"""Lists, rules and thresholds decide in one order, and every rule that hits is recorded."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.policies.definition import Listing, PolicyFile, Rule
from models.policies.reading import read
from models.policies.ruling import Ruled, Ruling
from models.policy import Policy
from models.records import Outcome
from models.schema.schema import PAYSIM
from tests.support.transactions import transaction

NOW = datetime(2026, 3, 4, tzinfo=timezone.utc)
LATER = NOW + timedelta(days=1)
NO_MATRIX = np.empty((1, 0), dtype=np.float32)
APPROVES: dict[str, Any] = {"expires_at": LATER, "up_to": 100.0}
BLOCK, FLAG, APPROVE = Outcome.BLOCK, Outcome.FLAG, Outcome.APPROVE


def rule(then: Any, when: str = "amount > 0", **changes: Any) -> Rule:
    given = APPROVES if then == "approve" else {}
    fields = {"id": f"{then}s", "when": when, "then": then, "reason": f"It {then}s.", "owner": "o"}
    return Rule(**{**fields, **given, **changes})


def listing(then: Any, **changes: Any) -> Listing:
    given = APPROVES if then == "approve" else {}
    fields = {"field": "nameDest", "then": then, "reason": f"Listed to {then}.", "owner": "o"}
    return Listing(**{**fields, **given, **changes})


def ruled(*rules: Rule, score: float = 0.1, now: datetime = NOW, **fields: Any) -> Ruled:
    lists = fields.pop("lists", {})
    entries = {name: frozenset({"C2"}) for name in lists}
    ruling = Ruling(PolicyFile(rules=rules, lists=lists), PAYSIM)
    sent = transaction("t", **{"amount": 50.0, "nameDest": "C2", "isFlaggedFraud": 0, **fields})
    (found,) = ruling.rule([sent], [score], NO_MATRIX, lists=entries, now=now)
    return found


BLOCKS, FLAGS, APPROVING = rule("block"), rule("flag"), rule("approve")
MULES = {"mules": listing("block")}
FRIENDS = {"friends": listing("approve")}


@pytest.mark.parametrize(
    ("given", "expected", "codes"),
    [
        ({}, APPROVE, []),
        ({"rules": [FLAGS]}, FLAG, ["RULE_FLAGS"]),
        ({"rules": [FLAGS], "score": 0.9}, BLOCK, []),
        ({"rules": [BLOCKS, FLAGS]}, BLOCK, ["RULE_BLOCKS"]),
        ({"rules": [BLOCKS, FLAGS, APPROVING]}, APPROVE, ["RULE_APPROVES"]),
        ({"rules": [APPROVING], "score": 0.99}, APPROVE, ["RULE_APPROVES"]),
        ({"rules": [APPROVING], "score": 0.99, "amount": 100.5}, BLOCK, []),
        ({"rules": [APPROVING], "score": 0.99, "now": LATER}, BLOCK, []),
        ({"rules": [APPROVING, BLOCKS], "amount": 100.5}, BLOCK, ["RULE_BLOCKS"]),
        ({"rules": [APPROVING], "lists": MULES}, BLOCK, ["LIST_MULES"]),
        ({"lists": {**MULES, **FRIENDS}}, BLOCK, ["LIST_MULES"]),
        ({"lists": FRIENDS, "score": 0.99}, APPROVE, ["LIST_FRIENDS"]),
        ({"lists": FRIENDS, "score": 0.99, "now": LATER}, BLOCK, []),
        ({"lists": FRIENDS, "rules": [BLOCKS]}, APPROVE, ["LIST_FRIENDS"]),
        ({"lists": FRIENDS, "isFlaggedFraud": 1}, BLOCK, []),
        ({"rules": [APPROVING], "isFlaggedFraud": 1}, BLOCK, []),
        ({"lists": MULES, "nameDest": "C3"}, APPROVE, []),
        ({"rules": [rule("block", mode="test")]}, APPROVE, []),
        ({"rules": [rule("block", mode="off")]}, APPROVE, []),
        ({"rules": [rule("block", expires_at=NOW)]}, APPROVE, []),
        ({"rules": [rule("block", expires_at=LATER)]}, BLOCK, ["RULE_BLOCKS"]),
    ],
)
def test_the_order_is_kept(given: dict[str, Any], expected: Outcome, codes: list[str]) -> None:
    found = ruled(*given.pop("rules", ()), **given)
    assert found.outcome is expected
    assert [each.code for each in found.reasons] == codes


def test_every_hit_is_recorded_unless_the_rule_is_off_or_has_expired() -> None:
    rules = [
        rule("block", id="a", mode="test"),
        rule("flag", id="b", mode="off"),
        rule("flag", id="c", when="amount > 1_000_000"),
        rule("flag", id="d", expires_at=NOW),
        rule("flag", id="e"),
    ]
    ruling = Ruling(PolicyFile(rules=rules), PAYSIM)
    assert ruling.ids(ruled(*rules).hits) == ["a", "e"]


def test_a_rule_that_cannot_be_computed_hits_nothing_and_is_counted() -> None:
    ruling = Ruling(PolicyFile(rules=[rule("block", "1 / amount > 0"), FLAGS]), PAYSIM)
    sent = [transaction("a", amount=0.0), transaction("b", amount=2.0)]
    found = ruling.rule(sent, [0.1, 0.1], np.empty((2, 0), np.float32), lists={}, now=NOW)
    assert [each.outcome for each in found] == [APPROVE, BLOCK]
    assert ruling.failures == {"blocks": 1}


def test_rules_see_lists_and_the_score_and_say_their_values() -> None:
    blocks = rule("block", "nameDest in @mules and score > 0.05", reason="To {nameDest}.")
    ruling = Ruling(PolicyFile(rules=[blocks]), PAYSIM)
    assert ruling.lists == ("mules",)
    sent = [transaction("a", nameDest="C2")]
    for entries, expected in ((frozenset(), APPROVE), (frozenset({"C2"}), BLOCK)):
        (found,) = ruling.rule(sent, [0.1], NO_MATRIX, lists={"mules": entries}, now=NOW)
        assert found.outcome is expected
    assert [each.text for each in found.reasons] == ["To C2."]


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), max_size=20),
    st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
)
def test_without_rules_it_is_the_policy_of_thresholds(
    rows: list[tuple[float, bool]], thresholds: list[float]
) -> None:
    flag_at, block_at = thresholds
    ruling = Ruling(PolicyFile(flag_at=flag_at, block_at=block_at), PAYSIM)
    sent = [transaction(f"t{n}", isFlaggedFraud=int(flag)) for n, (_, flag) in enumerate(rows)]
    scores = [score for score, _ in rows]
    found = ruling.rule(sent, scores, np.empty((len(rows), 0), np.float32), lists={}, now=NOW)
    plain = Policy(flag_at, block_at)
    assert [each.outcome for each in found] == [
        plain.decide(score, flagged_upstream=flag) for score, flag in rows
    ]


def test_what_a_file_leaves_out_is_as_by_default() -> None:
    assert read(b"flag_at = 0.5", PAYSIM) == PolicyFile()
