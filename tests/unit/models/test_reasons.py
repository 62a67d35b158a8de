"""Reasons state facts about the transaction, with a stable code."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.records import Reason, Transaction
from models.schema.reading import definition_of
from models.schema.schema import PAYSIM, Schema
from tests.support import paysim_reasons
from tests.support.transactions import transaction, transactions


def strongest(each: Transaction, contributions: list[float]) -> list[Reason]:
    (row,) = PAYSIM.features.matrix([each]).tolist()
    return PAYSIM.reasons.strongest(each, row, contributions)


@pytest.mark.parametrize(
    ("amount", "balance", "code", "words"),
    [
        (100.0, 0.0, "EMPTY_ORIGIN", "account is empty"),
        (1e6, 1e6, "TAKES_WHOLE_BALANCE", "whole balance leaves, 1,000,000.00"),
        (200.0, 100.0, "EXCEEDS_BALANCE", "exceeds the sender's balance, 100.00"),
        (50.0, 200.0, "SHARE_OF_BALANCE", "Of the sender's balance, 25.0% leaves."),
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
    assert "100.0%" in reason.text


@pytest.mark.parametrize(
    ("kind", "amount", "words"),
    [
        ("TRANSFER", 50.0, "Of the sender's balance, 75.0% stays."),
        ("PAYMENT", 200.0, "Of the sender's balance, 0.0% stays."),
        ("CASH_IN", 50.0, "An amount of 25.0% of the sender's balance speaks against fraud."),
    ],
)
def test_a_reason_against_fraud_reads_as_one(kind: str, amount: float, words: str) -> None:
    each = transaction(type=kind, amount=amount, oldbalanceOrg=200.0)
    (reason,) = strongest(each, [0.0, 0.0, 0.0, -2.5, 0.0])
    assert (reason.code, reason.text) == ("SHARE_OF_BALANCE", words)


def test_a_reason_without_a_sentence_against_has_one_for_both() -> None:
    schema = Schema(
        definition_of(
            {
                "name": "own",
                "fields": {
                    "transaction_id": {"type": "text", "role": "id"},
                    "amount": {"type": "amount"},
                },
                "features": {"log_amount": {"log": "amount"}},
                "reasons": [
                    {"features": ["log_amount"], "says": [{"code": "A", "text": "{amount:.0f}."}]}
                ],
            },
            "own",
        )
    )
    made = schema.transaction(transaction_id="t1", amount=5.0)
    row = schema.features.matrix([made])[0].tolist()
    for amount in (1.0, -1.0):
        assert schema.reasons.strongest(made, row, [amount]) == [Reason("A", "5.", amount)]


def test_what_raises_the_risk_comes_before_what_lowers_it_however_strong() -> None:
    codes = [
        (reason.code, reason.contribution)
        for reason in strongest(transaction(oldbalanceDest=7.0), [0.5, -0.1, 0.0, 0.0, -3.0])
    ]
    assert codes == [("TYPE_TRANSFER", 0.5), ("DESTINATION_BALANCE", -3.0), ("AMOUNT", -0.1)]


def test_only_the_three_weightiest_are_reported() -> None:
    reasons = strongest(transaction(), [1.0, 2.0, 3.0, 4.0, 5.0])
    assert [reason.contribution for reason in reasons] == [5.0, 4.0, 3.0]
    assert len(paysim_reasons.GROUPS) == 5


@given(transactions, st.lists(st.floats(-9, 9), min_size=5, max_size=5))
def test_all_that_contribute_are_weighed_with_the_values_they_are_made_of(
    each: Transaction, contributions: list[float]
) -> None:
    (row,) = PAYSIM.features.matrix([each]).tolist()
    weighed = PAYSIM.reasons.weighed(each, row, contributions)
    assert [Reason(one.code, one.text, one.contribution) for one in weighed] == (
        paysim_reasons.strongest(each, contributions, len(contributions))
    )
    values = {one.contribution: one.values for one in weighed}
    if contributions[3] and contributions.count(contributions[3]) == 1:
        looked_at = ("amount", "oldbalanceOrg", "type")
        assert values[contributions[3]] == {name: getattr(each, name) for name in looked_at}


@given(transactions, st.lists(st.floats(-9, 9), min_size=5, max_size=5))
def test_they_are_those_that_are_in_code(each: Transaction, contributions: list[float]) -> None:
    assert strongest(each, contributions) == paysim_reasons.strongest(each, contributions)


@given(st.lists(st.floats(-9, 9), min_size=12, max_size=12))
def test_features_are_grouped_as_they_are_in_code(contributions: list[float]) -> None:
    rows = np.array([contributions])
    assert np.array_equal(PAYSIM.reasons.grouped(rows), paysim_reasons.grouped(rows))
