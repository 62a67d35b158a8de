"""Bad input gets a clear error and never a coerced value."""

from __future__ import annotations

import json
import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.parsing import InvalidTransaction, valid_id
from models.records import Transaction
from models.schema.schema import PAYSIM
from tests.support.transactions import FIELDS, transactions


def raw(**changes: Any) -> bytes:
    return json.dumps({**FIELDS, **changes}).encode()


def errors(message: bytes | None) -> dict[str, str]:
    with pytest.raises(InvalidTransaction) as caught:
        PAYSIM.parser.parse(message)
    return {error.field: error.problem for error in caught.value.errors}


@given(transactions)
def test_what_is_written_is_read_back_the_same(transaction: Transaction) -> None:
    assert PAYSIM.parser.parse(msgspec.json.encode(transaction)) == transaction


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_invalid_transaction(message: bytes) -> None:
    with pytest.raises(InvalidTransaction):
        PAYSIM.parser.parse(message)


@given(transactions, st.data())
def test_a_mutilated_message_is_read_whole_or_refused(
    transaction: Transaction, data: st.DataObject
) -> None:
    message = bytearray(msgspec.json.encode(transaction))
    position = data.draw(st.integers(0, len(message) - 1))
    message[position] = data.draw(st.integers(0, 255))
    try:
        parsed = PAYSIM.parser.parse(bytes(message))
    except InvalidTransaction:
        return
    assert PAYSIM.parser.parse(msgspec.json.encode(parsed)) == parsed


def test_labels_are_optional_and_unknown_fields_ignored() -> None:
    parsed = PAYSIM.parser.parse(raw(surprise={"a": [1, 2]}))
    assert (parsed.isFraud, parsed.isFlaggedFraud) == (0, 0)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", "12.5"),
        ("amount", "1,000"),
        ("amount", "1_000"),
        ("amount", "\uff11\uff10"),
        ("amount", True),
        ("amount", None),
        ("amount", -5_000_000),
        ("amount", -0.01),
        ("amount", float("nan")),
        ("amount", float("inf")),
        ("amount", float("-inf")),
        ("amount", [1]),
        ("amount", 1.1e15),
        ("amount", 1e308),
        ("oldbalanceOrg", -1),
        ("newbalanceDest", "0"),
        ("step", 0),
        ("step", -3),
        ("step", 1.5),
        ("step", 1.0),
        ("step", True),
        ("step", "1"),
        ("step", 2**31),
        ("step", 10**30),
        ("type", "CASH-IN"),
        ("type", "transfer"),
        ("type", " TRANSFER"),
        ("type", None),
        ("isFraud", 2),
        ("isFraud", 1.0),
        ("isFraud", "1"),
        ("isFraud", True),
        ("isFlaggedFraud", -1),
        ("transaction_id", ""),
        ("transaction_id", "x" * 129),
        ("transaction_id", "a\x00b"),
        ("transaction_id", "a\r\nb"),
        ("transaction_id", "\u2028"),
        ("transaction_id", 5),
        ("nameOrig", "C\x00"),
        ("nameDest", None),
        ("nameDest", {"__faust": {"ns": "os"}}),
    ],
)
def test_a_wrong_value_is_refused_and_its_field_named(field: str, value: Any) -> None:
    message = raw(**{field: value})
    found = errors(message)
    not_json = isinstance(value, float) and not math.isfinite(value)
    assert list(found) == [""] if not_json else list(found) == [field], found


@pytest.mark.parametrize("name", list(FIELDS))
def test_a_missing_field_is_named(name: str) -> None:
    fields = {key: value for key, value in FIELDS.items() if key != name}
    assert errors(json.dumps(fields).encode()) == {name: "is missing"}


def test_every_wrong_field_is_named_at_once() -> None:
    found = errors(raw(step=0, amount="1", type="X", transaction_id="\n"))
    assert set(found) >= {"step", "amount", "type"}


@pytest.mark.parametrize(
    "message",
    [
        None,
        b"",
        b" ",
        b"null",
        b"[]",
        b"5",
        b'"text"',
        b"{",
        b"\xff\xfe",
        b"\xef\xbb\xbf" + raw(),
        raw()[:-1],
        raw() + b"x",
        b"[" * 100_000,
        b'{"a":' * 5_000,
        b"x" * 2_000_000,
        raw().replace(b"250000.0", b"1e400"),
        raw().replace(b'"C1"', b'"\xc3("'),
        raw().replace(b'"C1"', b'"\\ud800"'),
        raw(__faust={"ns": "x"}).replace(b'"step": 1', b'"step": NaN'),
    ],
)
def test_what_is_no_json_object_is_refused(message: bytes | None) -> None:
    assert errors(message)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": 0},
        {"amount": 10_000_000},
        {"amount": 51_700_000.5},
        {"amount": 1e15},
        {"nameOrig": "M1", "nameDest": "M1"},
        {"type": "PAYMENT", "nameDest": "C5"},
        {"transaction_id": "=1+1"},
        {"transaction_id": "ид-号-🙂"},
        {"nameOrig": ""},
        {"step": 2**31 - 1},
    ],
)
def test_unusual_but_valid_transactions_are_accepted(changes: dict[str, Any]) -> None:
    parsed = PAYSIM.parser.parse(raw(**changes))
    assert all(getattr(parsed, name) == value for name, value in changes.items())


@given(transactions)
def test_a_mapping_is_checked_as_raw_bytes_are(transaction: Transaction) -> None:
    assert PAYSIM.parser.from_mapping(msgspec.to_builtins(transaction)) == transaction
    with pytest.raises(InvalidTransaction, match="amount"):
        PAYSIM.parser.from_mapping({**msgspec.to_builtins(transaction), "amount": "1"})


@given(st.text(max_size=130))
def test_an_id_is_valid_if_and_only_if_a_transaction_can_have_it(text: str) -> None:
    id_ = text.encode("utf-8", "replace").decode()
    message = msgspec.json.encode({**FIELDS, "transaction_id": id_})
    try:
        PAYSIM.parser.parse(message)
    except InvalidTransaction:
        assert not valid_id(id_)
    else:
        assert valid_id(id_)
