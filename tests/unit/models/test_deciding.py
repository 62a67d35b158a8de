"""Decisions follow scores and policy, in the order of the batch."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.deciding import decide, unscored
from models.deduplication import Deduplicated
from models.policies.in_force import of_thresholds
from models.policy import Policy
from models.records import Outcome, Reason, Transaction
from models.schema.schema import PAYSIM
from tests.support.transactions import candidate, transaction

NOW = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc)


POLICY = of_thresholds(Policy(), PAYSIM)


class AmountScorer:
    """A scorer whose score is the amount."""

    version = "amount"
    columns = "of a test"

    def matrix(self, transactions: Sequence[Transaction]) -> Any:
        return np.array([each.amount for each in transactions])

    def score_matrix(self, matrix: Any) -> NDArray[np.float64]:
        return cast("NDArray[np.float64]", matrix)

    def explain(
        self, transactions: Sequence[Transaction], rows: Sequence[int]
    ) -> list[list[Reason]]:
        return [[Reason(f"AMOUNT_{transactions[row].amount}", "", 1.0)] * 3 for row in rows]


@given(st.lists(st.tuples(st.floats(0, 1), st.sampled_from([0, 1])), max_size=20))
def test_each_decision_is_of_its_own_transaction(rows: list[tuple[float, int]]) -> None:
    candidates = [
        candidate(transaction(f"t{number}", amount=amount, isFlaggedFraud=flag), number)
        for number, (amount, flag) in enumerate(rows)
    ]
    decisions = decide(candidates, scorer=AmountScorer(), policy=POLICY, now=NOW)
    assert [each.transaction for each in decisions] == [each.transaction for each in candidates]
    for number, (decision, (amount, flag)) in enumerate(zip(decisions, rows, strict=True)):
        assert (decision.score, decision.offset, decision.decided_at) == (amount, number, NOW)
        assert decision.decision is Policy().decide(amount, flagged_upstream=bool(flag))
        codes = [reason.code for reason in decision.reasons]
        if decision.decision is Outcome.APPROVE:
            assert codes == []
        else:
            assert len(codes) == 3
            assert f"AMOUNT_{amount}" in codes
            assert (codes[0] == PAYSIM.flagged_upstream.code) == bool(flag)


def test_what_was_seen_is_told_once_all_are_decided() -> None:
    seen: list[Any] = []
    given_: Any = {"scorer": AmountScorer(), "policy": POLICY, "now": NOW}
    candidates = [candidate(transaction(str(amount), amount=amount)) for amount in (0.1, 0.9)]
    decisions = decide(candidates, seen=lambda *each: seen.append(each), **given_)
    ((matrix, scores, told),) = seen
    assert (matrix.tolist(), scores.tolist(), told) == ([0.1, 0.9], [0.1, 0.9], decisions)
    bad = [*candidates, candidate(transaction("nan", amount=float("nan")))]
    with pytest.raises(ValueError, match="score"):
        decide(bad, seen=lambda *each: seen.append(each), **given_)
    assert decide([], seen=lambda *each: seen.append(each), **given_) == []
    assert len(seen) == 1


def test_a_score_that_is_not_a_number_stops_the_batch() -> None:
    with pytest.raises(ValueError, match="score"):
        decide(
            [candidate(transaction(amount=float("nan")))],
            scorer=AmountScorer(),
            policy=POLICY,
            now=NOW,
        )


def test_what_has_no_score_is_rejected_and_the_rest_decided() -> None:
    good, bad, again = (
        candidate(transaction(id_, amount=amount), number)
        for number, (id_, amount) in enumerate([("a", 0.1), ("b", float("nan")), ("b", 9.0)])
    )
    why = unscored([good, bad], scorer=AmountScorer(), policy=POLICY, now=NOW)
    assert [*why] == ["b"]
    admission = Deduplicated(new=[good, bad], duplicates=[again])
    admission.reject_unscored(why)
    assert (admission.new, admission.duplicates) == ([good], [])
    assert [(each.input, each.reason) for each in admission.rejected] == [
        (bad.input, "unscored"),
        (again.input, "unscored"),
    ]
    assert admission.rejected[0].detail.startswith("amount: ")
