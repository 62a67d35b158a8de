"""What names tell, however they are written."""

from __future__ import annotations

import pytest

from models.schema.definition import Role
from models.schema.inference.names import is_identifier, is_money, suits, words


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("nameOrig", ["name", "orig"]),
        ("TX_AMOUNT", ["tx", "amount"]),
        ("DbtrAcct", ["dbtr", "acct"]),
        ("IBANNumber", ["iban", "number"]),
        ("#text", ["text"]),
        ("é", []),
    ],
)
def test_names_are_taken_apart(name: str, found: list[str]) -> None:
    assert words(name) == found


@pytest.mark.parametrize(
    ("role", "better", "worse"),
    [
        ("id", "transaction_id", "id"),
        ("id", "txId", "reference"),
        ("id", "UETR", "EndToEndId"),
        ("sender", "Dbtr.DbtrAcct.Id.IBAN", "Dbtr.Nm"),
        ("sender", "nameOrig", "nameDest"),
        ("sender", "from_account", "account_from"),
        ("receiver", "merchant", "merchant_category"),
        ("receiver", "CdtrAcct.Id.IBAN", "CdtrAgt.FinInstnId.BICFI"),
        ("amount", "amount", "IntrBkSttlmAmt.#text"),
        ("amount", "TX_AMOUNT", "oldbalanceOrg"),
        ("label", "isFraud", "isFlaggedFraud"),
        ("time", "created_at", "flat"),
    ],
)
def test_one_name_suits_a_role_better_than_another(role: Role, better: str, worse: str) -> None:
    assert suits(role, better.split(".")) > suits(role, worse.split("."))


@pytest.mark.parametrize("name", ["receiver_country", "end_to_end_id", "total", "unique"])
def test_words_within_names_make_no_receiver(name: str) -> None:
    assert suits("receiver", [name]) == 0


def test_money_and_identifiers_are_told_apart() -> None:
    assert is_money(["IntrBkSttlmAmt", "#text"])
    assert is_money(["oldbalanceOrg"])
    assert not is_money(["logins"])
    assert is_identifier(["cc_num"])
    assert not is_identifier(["amount"])
