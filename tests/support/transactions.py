"""Transactions for tests, by hand and by hypothesis."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from models.inputs import Input, Position, ValidInput
from models.records import MAX_AMOUNT, MAX_STEP, Transaction
from models.schema.schema import PAYSIM

FIELDS: dict[str, Any] = {
    "transaction_id": "t1",
    "step": 1,
    "type": "TRANSFER",
    "amount": 250_000.0,
    "nameOrig": "C1",
    "oldbalanceOrg": 0.0,
    "newbalanceOrig": 0.0,
    "nameDest": "C2",
    "oldbalanceDest": 0.0,
    "newbalanceDest": 0.0,
}

amounts = st.floats(min_value=0, max_value=MAX_AMOUNT)
# None of Unicode's "other" categories but joiners, and of the separators the spaces.
JOINERS = "\u200b\u200c\u200d\u2060"
writable = st.characters(categories=("L", "M", "N", "P", "S", "Zs"), include_characters=JOINERS)
texts = st.text(writable, max_size=128)

transactions = st.builds(
    PAYSIM.transaction,
    transaction_id=st.text(writable, min_size=1, max_size=128),
    step=st.integers(1, MAX_STEP),
    type=st.sampled_from(["CASH_IN", "CASH_OUT", "DEBIT", "PAYMENT", "TRANSFER"]),
    amount=amounts,
    nameOrig=texts,
    oldbalanceOrg=amounts,
    newbalanceOrig=amounts,
    nameDest=texts,
    oldbalanceDest=amounts,
    newbalanceDest=amounts,
    isFraud=st.sampled_from([0, 1]),
    isFlaggedFraud=st.sampled_from([0, 1]),
)


def transaction(transaction_id: str = "t1", **changes: Any) -> Transaction:
    """A valid transaction."""
    made: Transaction = PAYSIM.transaction(
        **{**FIELDS, "transaction_id": transaction_id, **changes}
    )
    return made


def candidate(each: Transaction, offset: int = 0, partition: int = 0) -> ValidInput:
    """A transaction as if it had been read at that offset."""
    position = Position("transactions", partition, offset)
    return ValidInput(each, Input(None, b"raw", position, position))
