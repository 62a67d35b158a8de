"""What challengers say is complete and exact, and changes nothing of what is decided."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from numpy.typing import NDArray

from fraudapp.decisions.batch import encode
from models.challenger import MAX_FAILURES, Challenger
from models.deciding import decide, unscored
from models.policies.definition import PolicyFile
from models.policies.in_force import InForce
from models.policies.ruling import NO_CAPS, Begun, Ruling
from models.records import Decision, Outcome, Shadow, Transaction
from models.schema.schema import PAYSIM
from tests.support.transactions import candidate, transaction
from tests.unit.models.policies.test_ruling import NOW, listing, rule
from tests.unit.models.test_deciding import AmountScorer

RULES = (
    rule("block", "step > 8", id="late"),
    rule("flag", "step > 6 and score < 0.9", id="by_score"),
    rule("approve", "step == 5", id="small", up_to=0.6),
    rule("block", "step == 4", id="tried", mode="test"),
    rule("block", "step == 3", id="over", expires_at=NOW),
    rule("block", "step == 2", id="capped"),
)
LISTS = {"mules": listing("block"), "friends": listing("approve", up_to=0.7)}
ENTRIES = {"mules": frozenset({"C2"}), "friends": frozenset({"C3"})}
rows = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.floats(0, 1),
        st.integers(1, 10),
        st.sampled_from(["C1", "C2", "C3"]),
        st.integers(0, 1),
    ),
    max_size=30,
)


class ByBalance(AmountScorer):
    """A scorer whose score is the balance; it fails as a test asks for."""

    version = "balance"
    columns = "others"

    def __init__(self, failing: Sequence[float] = (), error: Exception | None = None) -> None:
        self.failing, self.error = [*failing], error or ValueError("no")
        self.calls = 0

    def matrix(self, transactions: Sequence[Transaction]) -> Any:
        return np.array([each.oldbalanceOrg for each in transactions])

    def score_matrix(self, matrix: Any) -> NDArray[np.float64]:
        self.calls += 1
        if np.isin(matrix, self.failing).any():
            raise self.error
        return np.array(matrix, dtype=np.float64)


def policy(
    *challengers: Challenger, caps: Begun = NO_CAPS, version: str = "1+0", **fields: Any
) -> InForce:
    ruling = Ruling(PolicyFile(**fields), PAYSIM)
    return InForce(ruling, version, lambda now: ENTRIES, caps, None, challengers)


def made(given: Sequence[Any], by: InForce, scorer: Any = None) -> list[Decision]:
    candidates = [
        candidate(
            transaction(
                f"t{number}",
                amount=amount,
                oldbalanceOrg=balance,
                step=step,
                nameDest=receiver,
                isFlaggedFraud=flag,
            ),
            number,
        )
        for number, (amount, balance, step, receiver, flag) in enumerate(given)
    ]
    return decide(candidates, scorer=scorer or AmountScorer(), policy=by, now=NOW)


@given(rows, st.booleans(), st.booleans(), st.booleans())
def test_it_says_what_the_same_policy_decides_with_its_scores(
    given: list[Any], by_score: bool, capped: bool, explores: bool
) -> None:
    """With its scores and without the cap on all, nor anything that is let through."""
    rules = [each for each in RULES if by_score or each.id != "by_score"]
    fields: dict[str, Any] = {"rules": rules, "lists": LISTS}
    begun = Begun(on_all=capped, rules=frozenset({"capped"}))
    explore: dict[str, Any] = {"explore": 0.1} if explores else {}
    challenger = Challenger(ByBalance())
    decisions = made(given, policy(challenger, caps=begun, **explore, **fields))
    alone = Begun(rules=begun.rules)
    as_champion = made(given, policy(caps=alone, **fields), ByBalance())
    assert [each.shadow["balance"] for each in decisions] == [
        Shadow(each.score, each.decision) for each in as_champion
    ]
    unbound = made(given, policy(caps=alone, **fields))
    pairs = zip(unbound, as_champion, strict=True)
    agreed = sum(one.decision is other.decision for one, other in pairs)
    assert (challenger.rows, challenger.agreed) == (len(given), agreed)


@given(rows, st.booleans())
def test_the_decision_is_the_same_as_without_it(given: list[Any], capped: bool) -> None:
    fields: dict[str, Any] = {"rules": RULES, "lists": LISTS, "explore": 0.1}
    caps = Begun(on_all=capped)
    alone, other = policy(caps=caps, **fields), policy(Challenger(ByBalance()), caps=caps, **fields)
    before, after = made(given, alone), made(given, other)
    assert [replace(each, shadow={}) for each in after] == before
    assert other.ruling.hits == alone.ruling.hits
    assert other.ruling.failures == alone.ruling.failures


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60, unique=True), st.data(), st.booleans())
def test_a_row_that_fails_costs_no_other_row_its_entry(
    balances: list[float], data: st.DataObject, is_nan: bool
) -> None:
    failing = data.draw(st.lists(st.sampled_from(balances), max_size=5, unique=True))
    given = [(0.5, each, 1, "C1", 0) for each in balances]
    scorer = ByBalance(failing)
    if is_nan:
        scorer.score_matrix = lambda matrix: np.where(np.isin(matrix, failing), np.nan, matrix)  # type: ignore[method-assign]
    challenger = Challenger(scorer)
    decisions = made(given, policy(challenger, rules=RULES))
    told = [each.shadow["balance"].score if each.shadow else None for each in decisions]
    assert told == [None if each in failing else each for each in balances]
    assert (challenger.failures, challenger.rows) == (len(failing), len(balances) - len(failing))
    assert bool(challenger.problem) == bool(failing)


@pytest.mark.parametrize("error", [ValueError("no"), ZeroDivisionError(), MemoryError()])
def test_one_that_always_fails_is_set_aside_soon_and_others_are_not(error: Exception) -> None:
    given = [(0.5, 0.25, 1, "C1", 0)] * 5_000
    broken, sound = Challenger(ByBalance([0.25], error)), Challenger(AmountScorer())
    decisions = made(given, policy(broken, sound))
    assert {tuple(each.shadow) for each in decisions} == {("amount",)}
    assert (broken.failures, broken.rows, sound.failures) == (5_000, 0, 0)
    assert broken.problem.startswith(type(error).__name__)
    assert broken.scorer.calls <= 2 * MAX_FAILURES + 40  # type: ignore[attr-defined]


def test_one_without_a_matrix_is_set_aside() -> None:
    scorer = ByBalance()
    scorer.matrix = lambda transactions: 1 // 0  # type: ignore[method-assign]
    challenger = Challenger(scorer)
    (found,) = made([(0.5, 0.25, 1, "C1", 0)], policy(challenger))
    assert (found.shadow, found.decision) == ({}, Outcome.FLAG)
    assert challenger.failures == 1


@pytest.mark.parametrize("score", [-0.1, 1.1, np.inf])
def test_a_score_out_of_bounds_is_none(score: float) -> None:
    scorer = ByBalance()
    scorer.score_matrix = lambda matrix: np.full(len(matrix), score)  # type: ignore[method-assign]
    (found,) = made([(0.5, 0.25, 1, "C1", 0)], policy(Challenger(scorer)))
    assert found.shadow == {}


def test_the_matrix_is_made_once_for_those_that_see_the_same() -> None:
    alike, other = ByBalance(), ByBalance()
    alike.columns, alike.version = AmountScorer.columns, "alike"
    decisions = made([(0.5, 0.25, 1, "C1", 0)], policy(Challenger(alike), Challenger(other)))
    assert decisions[0].shadow["alike"].score == 0.5
    assert decisions[0].shadow["balance"].score == 0.25


def test_without_any_a_decision_says_nothing_of_it() -> None:
    (found,) = made([(0.5, 0.25, 1, "C1", 0)], policy())
    assert b"shadow" not in encode(found)
    (found,) = made([(0.5, 0.25, 1, "C1", 0)], policy(Challenger(ByBalance())))
    assert b'"shadow":{"balance":{"score":0.25,"decision":"APPROVE"}}' in encode(found)
    assert PAYSIM.decode(encode(found)) == found


def test_what_is_tried_again_without_a_score_is_not_counted_twice() -> None:
    challenger = Challenger(ByBalance())
    in_force = policy(challenger)
    good, bad = candidate(transaction("a", amount=0.5)), candidate(transaction("b", amount=2.0))
    how: Any = {"scorer": AmountScorer(), "policy": in_force, "now": NOW + timedelta(seconds=1)}
    with pytest.raises(ValueError, match="score"):
        decide([good, bad], **how)
    assert [*unscored([good, bad], **how)] == ["b"]
    assert challenger.rows == 0
