"""A canary decides for its share of senders, and nothing else changes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from models.canary import Canary, is_chosen
from models.challenger import Challenger
from models.deciding import decide, unscored
from models.policies.in_force import InForce
from models.records import Decision, Shadow
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


class Third(AmountScorer):
    version = "third"


def with_canary(share: float, scorer: Any = None, *others: Challenger, **fields: Any) -> InForce:
    first = Challenger(scorer or ByBalance())
    found = policy(first, *others, rules=RULES, lists=LISTS, **fields)
    return found._replace(canary=Canary(first, Challenger(AmountScorer()), share, PAYSIM))


def candidates(given: list[Any]) -> list[Any]:
    return [
        candidate(
            transaction(
                f"t{number}", amount=amount, oldbalanceOrg=balance, step=step, nameOrig=sender
            ),
            number,
        )
        for number, (amount, balance, step, sender) in enumerate(given)
    ]


def made(given: list[Any], by: InForce, scorer: Any = None, **seen: Any) -> list[Decision]:
    return decide(candidates(given), scorer=scorer or AmountScorer(), policy=by, now=NOW, **seen)


@given(rows, shares, st.booleans())
def test_each_row_is_decided_as_if_one_model_were_alone(
    given: list[Any], share: float, explores: bool
) -> None:
    explore: dict[str, Any] = {"explore": 0.1} if explores else {}
    alone: dict[str, Any] = {"rules": RULES, "lists": LISTS, **explore}
    by_champion = made(given, policy(**alone))
    by_canary = made(given, policy(**alone), ByBalance())
    bound = made(given, policy(rules=RULES, lists=LISTS))
    of_canary = made(given, policy(rules=RULES, lists=LISTS), ByBalance())
    third = Challenger(Third())
    found = made(given, with_canary(share, None, third, **explore))
    for row, each in enumerate(found):
        sender = given[row][3]
        is_canary = bool(sender) and is_chosen(sender, "balance", share)
        assert replace(each, shadow={}) == (by_canary if is_canary else by_champion)[row]
        other = (bound if is_canary else of_canary)[row]
        expected = {other.model_version: Shadow(other.score, other.decision)}
        expected["third"] = Shadow(bound[row].score, bound[row].decision)
        assert each.shadow == expected


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
def test_the_champion_decides_all_that_the_canary_fails_on(error: Exception) -> None:
    given = [(0.6, 0.25 * (number % 2), 1, each) for number, each in enumerate(SENDERS[:40])]
    by = with_canary(1.0, ByBalance([0.25], error))
    found = made(given, by)
    assert {each.model_version for each in found} == {AmountScorer.version}
    assert [*map(len, (each.shadow for each in found))] == [1, 0] * 20
    assert by.canary
    assert by.canary.challenger.failures == 20


def test_without_a_sender_in_its_share_nothing_is_asked_of_it() -> None:
    given = [(0.6, 0.25, 1, "") for _ in range(5)]
    found = made(given, with_canary(1.0))
    assert {each.model_version for each in found} == {AmountScorer.version}
    assert all(each.shadow.keys() == {"balance"} for each in found)


def test_what_neither_can_score_is_told_and_nothing_else() -> None:
    given = [(0.5, 0.25, 1, "C1"), (2.0, 0.25, 1, "C1"), (0.5, 0.75, 1, "C1")]
    by = with_canary(1.0, ByBalance([0.25]))
    with pytest.raises(ValueError, match="score"):
        made(given, by)
    why = unscored(candidates(given), scorer=AmountScorer(), policy=by, now=NOW)
    assert why.keys() == {"t1"}
