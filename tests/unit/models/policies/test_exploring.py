"""A small share of what the model alone would block is flagged, and nothing else is changed."""

from __future__ import annotations

from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.decisions.batch import encode
from models.deciding import decide
from models.policies.definition import Caps, PolicyFile
from models.policies.exploring import is_chosen
from models.policies.in_force import InForce
from models.policies.reading import PolicyError, read
from models.policies.ruling import Begun, Ruled, Ruling
from models.policies.shares import ALL, certain_reasons, tally
from models.records import Outcome
from models.schema.schema import PAYSIM
from tests.support.decisions import decision
from tests.support.transactions import candidate, transaction
from tests.unit.models.policies.test_ruling import FLAGS, LATER, MULES, NOW, rule
from tests.unit.models.test_deciding import AmountScorer

CHOSEN, LEFT = "t21", "t0"
SHARE = 0.1
IDS = st.text(min_size=1, max_size=20)


def ruled(id_: str, *, caps: Begun | None = None, **given: object) -> Ruled:
    fields = {"explore": SHARE, **given}
    flagged, entries = fields.pop("flagged", 0), fields.pop("entries", {})
    score = fields.pop("score", 0.9)
    ruling = Ruling(PolicyFile(**fields), PAYSIM)  # type: ignore[arg-type]
    sent = transaction(id_, amount=50.0, nameDest="C2", isFlaggedFraud=flagged)
    (found,) = ruling.rule(
        [sent],
        [score],  # type: ignore[list-item]
        np.empty((1, 0), dtype=np.float32),
        lists=entries,  # type: ignore[arg-type]
        now=NOW,
        caps=caps or Begun(),
    )
    return found


def test_what_the_model_alone_would_block_is_let_through_if_it_is_chosen() -> None:
    assert crc32(CHOSEN.encode()) / 2**32 < SHARE <= crc32(LEFT.encode()) / 2**32
    found = ruled(CHOSEN)
    assert (found.outcome, found.explored) == (Outcome.FLAG, SHARE)
    assert [each.code for each in found.reasons] == ["EXPLORED"]
    assert ruled(LEFT) == Ruled(Outcome.BLOCK, (), ())
    assert ruled(CHOSEN, explore=0.0) == Ruled(Outcome.BLOCK, (), ())


@pytest.mark.parametrize(
    ("given", "outcome"),
    [
        ({"score": 0.6}, Outcome.FLAG),
        ({"score": 0.1}, Outcome.APPROVE),
        ({"flagged": 1}, Outcome.BLOCK),
        ({"lists": MULES, "entries": {"mules": frozenset({"C2"})}}, Outcome.BLOCK),
        ({"rules": [rule("block")]}, Outcome.BLOCK),
        ({"rules": [rule("block")], "score": 0.1}, Outcome.BLOCK),
        ({"rules": [rule("approve")]}, Outcome.APPROVE),
        ({"caps": Begun(on_all=True)}, Outcome.FLAG),
    ],
)
def test_nothing_else_is_explored(given: dict[str, object], outcome: Outcome) -> None:
    found = ruled(CHOSEN, **given)  # type: ignore[arg-type]
    assert (found.outcome, found.explored) == (outcome, 0.0)
    assert "EXPLORED" not in {each.code for each in found.reasons}


@pytest.mark.parametrize(
    "rules",
    [[FLAGS], [rule("block", mode="test")], [rule("approve", up_to=1.0, expires_at=LATER)]],
)
def test_rules_that_did_not_ask_for_the_block_leave_it_to_the_model(rules: list[object]) -> None:
    found = ruled(CHOSEN, rules=rules)
    assert (found.outcome, found.explored, found.hits) == (Outcome.FLAG, SHARE, (0,))


def test_a_rule_in_test_because_of_its_cap_asks_for_nothing() -> None:
    found = ruled(CHOSEN, rules=[rule("block")], caps=Begun(rules=frozenset({"blocks"})))
    assert found.explored == SHARE


@given(IDS, st.floats(0, 1), st.floats(0, 1))
def test_what_is_chosen_at_one_share_is_chosen_at_every_larger_one(
    id_: str, one: float, other: float
) -> None:
    low, high = sorted([one, other])
    assert is_chosen(id_, high) or not is_chosen(id_, low)
    assert not is_chosen(id_, 0.0)
    assert is_chosen(id_, 1.0)


def test_about_the_share_is_chosen() -> None:
    chosen = sum(is_chosen(f"t{number}", 0.01) for number in range(100_000))
    assert 900 < chosen < 1_100


def test_caps_count_what_would_be_blocked_without_exploring() -> None:
    policy = PolicyFile(explore=SHARE, caps=Caps(block_share=0.5))
    (reason,) = ruled(CHOSEN).reasons
    made = [decision("a"), decision("b", decision=Outcome.FLAG, reasons=[reason])]
    assert tally(made, {ALL}, certain_reasons(policy)).hits == {ALL: 2}


@pytest.mark.parametrize("text", ["explore = 0", "explore = 0.1", "explore = 1e-9"])
def test_a_share_up_to_a_tenth_is_taken(text: str) -> None:
    assert read(text.encode(), PAYSIM).explore == float(text.split(" = ")[1])


@pytest.mark.parametrize("value", ["0.11", "-0.1", "1", "nan", "'0.1'", "true"])
def test_any_other_share_is_a_fault_with_its_place(value: str) -> None:
    with pytest.raises(PolicyError) as caught:
        read(f"flag_at = 0.5\n  explore = {value}\n".encode(), PAYSIM)
    assert caught.value.problems[0].startswith("line 2, column 3: explore is ")
    assert caught.value.problems[0].endswith("has to be a number from 0 to 0.1")


def test_explore_in_another_table_is_told_to_stand_at_the_top() -> None:
    with pytest.raises(PolicyError, match="no key explore here: it stands at the top of the file"):
        read(b"[caps]\nexplore = 0.1\n", PAYSIM)


def test_a_decision_says_that_it_is_explored_and_nothing_if_it_is_not() -> None:
    policy = InForce(Ruling(PolicyFile(explore=SHARE, block_at=0.0, flag_at=0.0), PAYSIM), "1+0")
    candidates = [candidate(transaction(each, amount=0.5)) for each in (CHOSEN, LEFT)]
    chosen, left = decide(candidates, scorer=AmountScorer(), policy=policy, now=NOW)
    assert (chosen.decision, chosen.explored) == (Outcome.FLAG, SHARE)
    assert b'"explored":0.1' in encode(chosen)
    assert chosen.reasons[0].code == "EXPLORED"
    assert (left.decision, left.explored) == (Outcome.BLOCK, 0.0)
    assert b"explored" not in encode(left)
