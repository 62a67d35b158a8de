"""Reasons state facts about the transaction, with a stable code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.records import Reason, Transaction
from models.schema.schema import PAYSIM
from tests.support import paysim_reasons
from tests.support.transactions import transaction, transactions


def strongest(each: Transaction, contributions: list[float]) -> list[Reason]:
    (row,) = PAYSIM.features.matrix([each]).tolist()
    return PAYSIM.reasons.strongest(each, row, contributions)


@pytest.mark.parametrize(
    ("amount", "balance", "code", "words"),
    [
        (100.0, 0.0, "EMPTY_ORIGIN", "account is empty"),
        (1e6, 1e6, "TAKES_WHOLE_BALANCE", "whole balance, 1,000,000.00"),
        (200.0, 100.0, "EXCEEDS_BALANCE", "exceeds the sender's balance, 100.00"),
        (50.0, 200.0, "SHARE_OF_BALANCE", "25.0% of the sender's balance"),
    ],
)
def test_the_amount_is_compared_with_the_balance_in_words(
    amount: float, balance: float, code: str, words: str
) -> None:
    (reason,) = strongest(
        transaction(amount=amount, oldbalanceOrg=balance), [0.0, 0.0, 0.0, 2.5, 0.0]
    )
    assert (reason.code, reason.contribution) == (code, 2.5)
    assert words in reason.text


@pytest.mark.parametrize("kind", ["PAYMENT", "DEBIT", "CASH_IN"])
@pytest.mark.parametrize(("amount", "balance"), [(50.0, 50.0), (0.1 + 0.2, 0.3)])
def test_only_what_can_drain_an_account_is_said_to(
    kind: str, amount: float, balance: float
) -> None:
    whole = transaction(type=kind, amount=amount, oldbalanceOrg=balance)
    (reason,) = strongest(whole, [0.0, 0.0, 0.0, 2.5, 0.0])
    assert reason.code == "SHARE_OF_BALANCE"
    assert "100.0% of the sender's balance" in reason.text


def test_reasons_against_fraud_are_reported_with_their_sign() -> None:
    codes = [
        (reason.code, reason.contribution)
        for reason in strongest(transaction(oldbalanceDest=7.0), [0.5, -0.1, 0.0, 0.0, -3.0])
    ]
    assert codes == [("DESTINATION_BALANCE", -3.0), ("TYPE_TRANSFER", 0.5), ("AMOUNT", -0.1)]


def test_only_the_three_weightiest_are_reported() -> None:
    reasons = strongest(transaction(), [1.0, 2.0, 3.0, 4.0, 5.0])
    assert [reason.contribution for reason in reasons] == [5.0, 4.0, 3.0]
    assert len(paysim_reasons.GROUPS) == 5


@given(transactions, st.lists(st.floats(-9, 9), min_size=5, max_size=5))
def test_they_are_those_that_were_in_code(each: Transaction, contributions: list[float]) -> None:
    assert strongest(each, contributions) == paysim_reasons.strongest(each, contributions)


@given(st.lists(st.floats(-9, 9), min_size=12, max_size=12))
def test_features_are_grouped_as_they_were_in_code(contributions: list[float]) -> None:
    rows = np.array([contributions])
    assert np.array_equal(PAYSIM.reasons.grouped(rows), paysim_reasons.grouped(rows))
