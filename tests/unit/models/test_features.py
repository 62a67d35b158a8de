"""Features are finite, the same in training and serving, and use no value from after the move."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.records import Transaction
from models.schema.schema import PAYSIM
from tests.support import paysim_formulas
from tests.support.transactions import transaction, transactions

FEATURE_NAMES, features = PAYSIM.features.names, PAYSIM.features.matrix
batches = st.lists(transactions, max_size=20)


def named(each: Transaction) -> dict[str, float]:
    return dict(zip(FEATURE_NAMES, features([each])[0].tolist(), strict=True))


@given(batches)
def test_every_valid_transaction_has_finite_features(batch: list[Transaction]) -> None:
    matrix = features(batch)
    assert matrix.shape == (len(batch), len(FEATURE_NAMES))
    assert matrix.dtype == np.float32
    assert np.isfinite(matrix).all()


@given(batches)
def test_a_row_has_the_same_features_alone_as_in_a_batch(batch: list[Transaction]) -> None:
    for row, each in zip(features(batch), batch, strict=True):
        assert np.array_equal(row, features([each])[0])


@given(batches)
def test_training_and_serving_compute_the_same(batch: list[Transaction]) -> None:
    columns = {name: [getattr(each, name) for each in batch] for name in PAYSIM.features.fields}
    assert np.array_equal(features(batch), PAYSIM.features.from_columns(columns))


@given(batches)
def test_they_are_those_of_the_formulas_to_the_last_bit(batch: list[Transaction]) -> None:
    assert paysim_formulas.FEATURE_NAMES == FEATURE_NAMES
    expected, found = paysim_formulas.features(batch), features(batch)
    assert (found.tobytes(), found.dtype) == (expected.tobytes(), expected.dtype)


@given(transactions, transactions)
def test_label_flag_step_ids_and_later_balances_change_nothing(
    one: Transaction, other: Transaction
) -> None:
    unseen = ("step", "isFraud", "isFlaggedFraud", "nameOrig", "nameDest", "transaction_id")
    later = ("newbalanceOrig", "newbalanceDest")
    values = {name: getattr(one, name) for name in one.__struct_fields__}
    values |= {name: getattr(other, name) for name in (*unseen, *later)}
    assert np.array_equal(features([one]), features([PAYSIM.transaction(**values)]))


def test_the_formulas() -> None:
    row = named(transaction(type="CASH_OUT", amount=150.0, oldbalanceOrg=100.0))
    assert row["is_cash_out"] == 1.0
    assert row["is_transfer"] == row["is_cash_in"] == row["is_debit"] == 0.0
    assert row["log_amount"] == pytest.approx(math.log(151.0))
    assert row["log_origin_balance"] == pytest.approx(math.log(101.0))
    assert row["log_share"] == pytest.approx(math.log(151.0 / 101.0))
    assert (row["exceeds_balance"], row["takes_all"]) == (1.0, 0.0)
    assert (row["origin_empty"], row["destination_empty"]) == (0.0, 1.0)


@pytest.mark.parametrize("balance", [0.01, 181.0, 1e6, 123456789.12])
def test_taking_the_balance_to_the_cent_is_seen(balance: float) -> None:
    row = named(transaction(amount=balance, oldbalanceOrg=balance))
    assert (row["takes_all"], row["exceeds_balance"], row["log_share"]) == (1.0, 0.0, 0.0)
    assert named(transaction(amount=balance + 0.01, oldbalanceOrg=balance))["takes_all"] == 0.0


@pytest.mark.parametrize("kind", ["CASH_IN", "DEBIT", "PAYMENT"])
@pytest.mark.parametrize("balance", [0.0, 50.0, 1e6])
def test_only_transfers_and_cash_outs_take_all(kind: str, balance: float) -> None:
    row = named(transaction(type=kind, amount=balance, oldbalanceOrg=balance))
    assert (row["takes_all"], row["exceeds_balance"], row["log_share"]) == (0.0, 0.0, 0.0)


def test_a_sum_that_is_off_by_rounding_still_takes_all() -> None:
    assert named(transaction(amount=0.1 + 0.2, oldbalanceOrg=0.3))["takes_all"] == 1.0


def test_minus_zero_is_zero() -> None:
    minus = transaction(amount=-0.0, oldbalanceOrg=-0.0, oldbalanceDest=-0.0)
    zero = transaction(amount=0.0, oldbalanceOrg=0.0, oldbalanceDest=0.0)
    assert np.array_equal(features([minus]), features([zero]))


@pytest.mark.parametrize("field", ["amount", "oldbalanceOrg", "oldbalanceDest"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -0.01, -5_000_000.0])
def test_numbers_that_parsing_refuses_are_refused_here_too(field: str, value: float) -> None:
    batch = [transaction("a"), transaction("b", **{field: value})]
    with pytest.raises(ValueError, match=f"^{field} must be a finite number from 0"):
        features(batch)


@pytest.mark.parametrize("kind", ["transfer", " TRANSFER", "CASH-IN", "", "LOAN"])
def test_unknown_types_are_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="unknown type"):
        features([transaction(type=kind)])


@pytest.mark.parametrize("kind", ["CASH_OUT", "TRANSFER"])
def test_who_takes_nothing_of_nothing_takes_not_all(kind: str) -> None:
    nothing = transaction(type=kind, amount=0.0, oldbalanceOrg=0.0)
    row = named(nothing)
    assert (row["takes_all"], row["origin_empty"], row["log_amount"]) == (0.0, 1.0, 0.0)
    cent = transaction(type=kind, amount=0.01, oldbalanceOrg=0.01)
    assert features([nothing, cent])[:, FEATURE_NAMES.index("takes_all")].tolist() == [0.0, 1.0]


def test_amounts_beyond_float32_are_fine() -> None:
    huge = transaction(amount=1.7e308, oldbalanceOrg=1e-308, oldbalanceDest=3.5e38)
    assert np.isfinite(features([huge])).all()
