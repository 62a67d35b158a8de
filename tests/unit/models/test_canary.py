"""A canary decides for its share of senders, and nothing else changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from models.canary import Canary, is_chosen
from models.challenger import Challenger
from models.deciding import Profiled, decide, unscored
from models.policies.in_force import InForce
from models.policies.ruling import Begun
from models.records import Decision, Outcome, Reason, Shadow
from models.schema.schema import PAYSIM
from tests.support.transactions import candidate, transaction
from tests.unit.models.policies.test_ruling import NOW
from tests.unit.models.test_deciding import AmountScorer
from tests.unit.models.test_shadow import LISTS, RULES, ByBalance, policy

SENDERS = [f"C{number}" for number in range(5_000)]
shares = st.floats(0, 1)
rows = st.lists(
    st.tuples(
        st.floats(0, 1), st.floats(0, 1), st.integers(1, 10), st.sampled_from([*SENDERS[:9], ""])
    ),
    max_size=30,
)


@given(
    st.text(st.characters(codec="utf-8"), max_size=20), st.sampled_from(["a", "b"]), shares, shares
)
def test_who_is_chosen_at_one_share_is_chosen_at_every_larger_one(
    sender: str, version: str, one: float, other: float
) -> None:
    small, large = sorted((one, other))
    assert is_chosen(sender, version, large) or not is_chosen(sender, version, small)
    assert not is_chosen(sender, version, 0.0)
    assert is_chosen(sender, version, 1.0)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_the_share_is_one_of_senders_and_another_model_begins_with_others(share: float) -> None:
    by_version = {
        version: {each for each in SENDERS if is_chosen(each, version, share)}
        for version in ("gradient_boosting-a", "gradient_boosting-b", "logistic-c")
    }
    for chosen in by_version.values():
        assert abs(len(chosen) / len(SENDERS) - share) < 0.02
    assert len({frozenset(each) for each in by_version.values()}) == len(by_version)


class Explaining(ByBalance):
    """One whose explanations fail."""

    def explain(self, transactions: Any, rows: Any) -> list[list[Reason]]:
        raise ZeroDivisionError


def with_canary(share: float, scorer: Any = None, **fields: Any) -> InForce:
    first = Challenger(scorer or ByBalance())
    found = policy(first, rules=RULES, lists=LISTS, **fields)
    return found._replace(canary=Canary(first, Challenger(AmountScorer()), share, PAYSIM))


def candidates(given: Sequence[Any]) -> list[Any]:
    return [
        candidate(
            transaction(
                f"t{number}", amount=amount, oldbalanceOrg=balance, step=step, nameOrig=sender
            ),
            number,
        )
        for number, (amount, balance, step, sender) in enumerate(given)
    ]


def made(given: Sequence[Any], by: InForce, scorer: Any = None, **more: Any) -> list[Decision]:
    profiles = Profiled([{"row": float(row)} for row in range(len(given))])
    how: dict[str, Any] = {"policy": by, "now": NOW, "profiles": profiles, **more}
    return decide(candidates(given), scorer=scorer or AmountScorer(), **how)


@given(rows, shares, st.booleans(), st.sets(st.integers(0, 29), max_size=6))
def test_each_row_is_decided_as_if_its_model_were_alone(
    given: list[Any], share: float, explores: bool, failing: set[int]
) -> None:
    """Whatever the other rows are, those that the canary has no score for included."""
    explore: dict[str, Any] = {"explore": 0.1} if explores else {}
    alone: dict[str, Any] = {"rules": RULES, "lists": LISTS, **explore}
    by_champion = made(given, policy(**alone))
    by_canary = made(given, policy(**alone), ByBalance())
    bound = made(given, policy(rules=RULES, lists=LISTS))
    of_canary = made(given, policy(rules=RULES, lists=LISTS), ByBalance())
    lost = {given[row][1] for row in failing if row < len(given)}
    by = with_canary(share, ByBalance([*lost]), **explore)
    found = made(given, by)
    for row, each in enumerate(found):
        _, balance, _, sender = given[row]
        has_score = balance not in lost
        is_canary = bool(sender) and has_score and is_chosen(sender, "balance", share)
        assert replace(each, shadow={}) == (by_canary if is_canary else by_champion)[row]
        other = (bound if is_canary else of_canary)[row]
        expected = {other.model_version: Shadow(other.score, other.decision)}
        assert each.shadow == (expected if is_canary or has_score else {})
    assert by.canary
    assert by.canary.challenger.failures == sum(each[1] in lost for each in given)
    assert bool(by.canary.challenger.problem) == bool(lost)
    hits = [each.hits for each in found]
    assert by.ruling.hits == {id_: sum(id_ in each for each in hits) for id_ in by.ruling.hits}


@given(rows)
def test_what_was_seen_is_told_by_model_and_in_its_order(given: list[Any]) -> None:
    told: dict[str, list[float]] = {}

    def seen(matrix: Any, scores: Any, decisions: list[Decision]) -> None:
        (version,) = {each.model_version for each in decisions}
        assert len(matrix) == len(scores) == len(decisions)
        assert version not in told
        told[version] = [each.score for each in decisions]
        assert told[version] == scores.tolist()

    found = made(given, with_canary(0.5), seen=seen)
    for version, scores in told.items():
        assert scores == [each.score for each in found if each.model_version == version]
    assert sum(map(len, told.values())) == len(found)


@pytest.mark.parametrize("error", [ValueError("no"), ZeroDivisionError(), MemoryError()])
def test_one_that_always_fails_is_set_aside_soon(error: Exception) -> None:
    given = [(0.6, 0.25, 1, "C1")] * 5_000
    scorer = ByBalance([0.25], error)
    by = with_canary(1.0, scorer)
    found = made(given, by)
    assert {(each.model_version, *each.shadow) for each in found} == {(AmountScorer.version,)}
    assert by.canary
    assert by.canary.challenger.failures == 5_000
    assert scorer.calls < 4_000


def test_one_that_cannot_be_asked_decides_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    by = with_canary(1.0)
    monkeypatch.setattr(ByBalance, "matrix", None)
    found = made([(0.6, 0.25, 1, "C1")], by)
    assert [each.model_version for each in found] == [AmountScorer.version]


def test_a_decision_stands_without_reasons_that_cannot_be_computed() -> None:
    by = with_canary(1.0, Explaining())
    (found,) = made([(0.1, 0.9, 1, "C1")], by)
    assert (found.model_version, found.decision) == ("balance", Outcome.BLOCK)
    assert not any(each.contribution for each in found.reasons)
    assert by.canary
    assert by.canary.challenger.failures == 1
    assert by.canary.challenger.problem == "ZeroDivisionError: "


def test_without_a_sender_nothing_is_asked_of_it() -> None:
    found = made([(0.6, 0.25, 1, "") for _ in range(5)], with_canary(1.0))
    assert {each.model_version for each in found} == {AmountScorer.version}
    assert all(each.shadow.keys() == {"balance"} for each in found)


def test_while_a_cap_is_on_all_the_champion_decides_for_all() -> None:
    """A canary that blocks all it gets would else keep the champion from blocking anything."""
    given = [(0.9, 0.9, 1, each) for each in SENDERS[:20]]
    capped = made(given, with_canary(1.0, caps=Begun(on_all=True)))
    assert {each.model_version for each in capped} == {AmountScorer.version}
    of_a_rule = made(given, with_canary(1.0, caps=Begun(rules=frozenset({"capped"}))))
    assert {each.model_version for each in of_a_rule} == {"balance"}


def test_what_cannot_be_scored_is_told_and_costs_no_neighbour() -> None:
    """The first is one that only the champion scores, the last one that only the canary does."""
    given = [(0.5, 0.25, 1, "C1"), (2.0, 0.25, 1, "C1"), (0.5, 0.75, 1, "C1"), (2.0, 0.75, 1, "C1")]
    by = with_canary(1.0, ByBalance([0.25]))
    with pytest.raises(ValueError, match="score"):
        made(given, by)
    assert by.canary
    before = by.canary.champion.rows
    why = unscored(candidates(given), scorer=AmountScorer(), policy=by, now=NOW)
    assert why.keys() == {"t1"}
    assert by.canary.champion.rows == before
    left = [each for each in given if each != given[1]]
    found = made(left, by)
    assert [each.model_version for each in found] == [AmountScorer.version, "balance", "balance"]
