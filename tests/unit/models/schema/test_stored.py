"""Decisions stay readable when their schema changes, and stay the decisions of their ids."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.sinks.postgres.rows import Rows
from fraudapp.sinks.postgres.schema import DecisionRow
from models.deduplication import deduplicate
from models.inputs import Input, Position, ValidInput
from models.records import Decision
from models.schema import presets, reading
from models.schema.definition import ID, Definition, Feature
from models.schema.schema import PAYSIM, Schema, preset
from models.schema.stored import OtherTransaction, is_same, other_transaction
from tests.support.decisions import decision, decisions
from tests.unit.models.schema.making import messages, nested, schemas

NINTH = Position("transactions", 0, 9)
EXAMPLES = {
    name: (Path(presets.__file__).parent / "examples" / f"{name}.jsonl")
    .read_bytes()
    .splitlines()[0]
    for name in ("cards", "pacs008")
}
CARD = (
    '{"transaction_id":"a","at":"2026-03-04T05:06:07Z","customer_id":"c","terminal_id":"t",'
    '"category":"food","amount":12.5,"currency":null,"is_fraud":1}'
)


def decided(data: st.DataObject, schema: Schema) -> Decision:
    message = nested(schema, data.draw(messages(schema)))
    taken = schema.parser.parse(json.dumps(message).encode())
    return decided_on(schema, taken)


def decided_on(schema: Schema, taken: Any) -> Decision:
    return decision(taken.transaction_id, transaction=taken, schema_version=schema.version)


def row_of(schema: Schema, each: Decision) -> dict[str, Any]:
    """The row, as the driver reads it."""
    found = zip(DecisionRow.__table__.columns.keys(), Rows(schema).to_rows([each])[0], strict=True)
    row = dict(found)
    for name in ("reasons", "transaction", "hits", "shadow"):
        row[name] = row[name] and json.loads(row[name])
    return row


@given(st.data())
def test_a_decision_survives_its_log_and_its_row_under_any_schema(data: st.DataObject) -> None:
    schema = data.draw(schemas())
    each = decided(data, schema)
    assert schema.decode(msgspec.json.encode(each)) == each
    assert Rows(schema).from_row(row_of(schema, each)) == each


@given(decisions)
def test_a_decision_on_paysims_survives_a_row(each: Decision) -> None:
    assert Rows(PAYSIM).from_row(row_of(PAYSIM, each)) == each


@given(st.data())
def test_a_decision_is_read_by_every_other_schema_with_the_fields_it_had(
    data: st.DataObject,
) -> None:
    before, now = data.draw(schemas()), data.draw(schemas() | st.just(PAYSIM))
    each = decided(data, before)
    encoded = msgspec.json.encode(each)
    found = now.decode(encoded)
    assert found.transaction_id == found.transaction.transaction_id == each.transaction_id
    if isinstance(found.transaction, OtherTransaction):
        assert msgspec.json.decode(msgspec.json.encode(found)) == msgspec.json.decode(encoded)
        assert found.transaction.of_no_schema is None
    assert Rows(now).from_row(row_of(now, found)) == found
    assert Rows(now).from_row(row_of(before, each)) == found


@given(st.data())
def test_the_same_message_is_no_conflict_under_a_later_schema(data: st.DataObject) -> None:
    before = data.draw(schemas())
    message = nested(before, data.draw(messages(before)))
    raw = json.dumps(message).encode()
    taken = before.parser.parse(raw)
    fields = {
        name if name == ID else f"{name}now": msgspec.structs.replace(each, path=each.path or name)
        for name, each in before.definition.fields.items()
    }
    features = {"unchanged": Feature(frequency=ID)}
    now = Schema(Definition(name="now", fields=fields, features=features))
    parsed = now.parser.parse(raw)
    logged = msgspec.json.encode(decided_on(before, taken))
    known = now.decode(logged)
    assert before.decode(logged).transaction == taken
    given_now = ValidInput(parsed, Input(None, raw, NINTH, NINTH))
    found = deduplicate([given_now], {taken.transaction_id: known})
    assert (len(found.duplicates), found.new, found.rejected) == (1, [], [])


def test_another_payload_under_a_known_id_is_a_conflict_across_schemas() -> None:
    known = preset("cards").decode(msgspec.json.encode(decision("a")))  # of PaySim
    assert known.transaction.nameOrig == PAYSIM.stored({**PAYSIM_ROW}, "").nameOrig
    card = preset("cards").parser.parse(CARD.encode())
    assert not is_same(known.transaction, card)  # the amounts differ
    given_now = ValidInput(card, Input(None, b"", NINTH, NINTH))
    (rejected,) = deduplicate([given_now], {"a": known}).rejected
    assert "amount: 12.5 here, " in rejected.detail


PAYSIM_ROW = msgspec.to_builtins(decision("a").transaction)


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({}, "no transaction_id"),
        ({"transaction_id": 7}, "no transaction_id"),
        ({"transaction_id": ""}, "no transaction_id"),
        ({"transaction_id": "a" * 129}, "no transaction_id"),
        ({"transaction_id": "a", "x": {"deep": 1}}, "'x' is no field"),
        ({"transaction_id": "a", "x": ["y"]}, "'x' is no field"),
        ({"transaction_id": "a", "__class__": 1}, "'__class__' is no field"),
        ({"transaction_id": "a", "not a name": 1}, "'not a name' is no field"),
        ({"transaction_id": "a", "x": "\0"}, "field x holds characters"),
        ({"transaction_id": "\x1b"}, "field transaction_id holds characters"),
    ],
)
def test_what_no_schema_writes_is_no_transaction(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(msgspec.ValidationError, match=why):
        other_transaction(fields)
    whole = {**msgspec.to_builtins(decision("a")), "transaction": fields}
    for version in ("", "other-1"):
        with pytest.raises(msgspec.DecodeError):
            PAYSIM.decode(msgspec.json.encode({**whole, "schema_version": version}))


@pytest.mark.parametrize("name", ["class", "None", "self", "x" * 300])
def test_any_name_of_a_field_is_kept(name: str) -> None:
    made = other_transaction({"transaction_id": "a", name: 1})
    assert msgspec.to_builtins(made) == {"transaction_id": "a", name: 1}


@pytest.mark.parametrize("name", ["cards", "pacs008"])
def test_the_columns_of_roles_are_filled_for_every_schema(name: str) -> None:
    schema = preset(name)
    given_id = schema.parser.parse(EXAMPLES[name])
    row = row_of(schema, decided_on(schema, given_id))
    assert row["amount"] == given_id.amount
    assert row["name_orig"] == schema.sender(given_id)
    assert row["name_dest"] == schema.receiver(given_id)
    assert row["type"] == schema.kind(given_id)
    assert row["is_fraud"] == given_id.is_fraud
    assert row["step"] is row["oldbalance_org"] is row["is_flagged_fraud"] is None
    assert "transaction" not in {key for key, value in row.items() if value is None}


def test_paysims_fields_are_in_columns_alone() -> None:
    row = row_of(PAYSIM, decision("a"))
    empty = [name for name, value in row.items() if value is None]
    assert empty == [
        "transaction",
        "schema_version",
        "hits",
        "profile",
        "profile_version",
        "profile_lag",
        "explored",
        "shadow",
    ]


@pytest.mark.parametrize(
    "value", ["yes", 100_000, -1, 0.4, 10**400, 1e300, True, None, "", "\U0003ffff"]
)
@pytest.mark.parametrize("name", ["is_fraud", "amount", "category", "customer_id"])
def test_a_value_of_an_earlier_schema_keeps_no_row_out_of_its_columns(
    name: str, value: Any
) -> None:
    cards = preset("cards")
    fields = {**json.loads(EXAMPLES["cards"]), name: value}
    earlier = decision(
        fields["transaction_id"], transaction=other_transaction(fields), schema_version="cards-1"
    )
    row = row_of(cards, earlier)
    assert row["is_fraud"] in (None, 0, 1)
    assert row["amount"] is None or abs(row["amount"]) <= 1e15
    assert all(row[each] is None or isinstance(row[each], str) for each in ("type", "name_orig"))
    assert row["transaction"][name] == value


@pytest.mark.parametrize(
    ("before", "now"),
    [
        ("", "optional = true"),
        ("optional = true", "default = 5.0"),
        ("default = 5.0", "optional = true"),
        ("", "coerce = true"),
    ],
)
@pytest.mark.parametrize("sent", [{}, {"x": 7.0}])
def test_a_message_that_comes_again_after_a_field_has_changed_is_the_same(
    before: str, now: str, sent: dict[str, Any]
) -> None:
    one, other = (Schema(reading.read(OWN.format(each).encode(), "own")) for each in (before, now))
    if not sent and before != "optional = true":
        return  # there was no such message, or what its default was is not known any more
    raw = json.dumps({"transaction_id": "a", **sent}).encode()
    logged = msgspec.json.encode(decided_on(one, one.parser.parse(raw)))
    known = other.decode(logged)
    assert is_same(known.transaction, other.parser.parse(raw))
    assert not is_same(known.transaction, other.parser.parse(raw.replace(b'"a"', b'"b"')))


OWN = """
name = "own"
[fields.transaction_id]
type = "text"
role = "id"
[fields.x]
type = "number"
{}
[features]
x = {{ number = "x" }}
"""


@pytest.mark.parametrize("name", ["paysim", "cards"])
@pytest.mark.parametrize("wrong", [{"amount": -1}, {"amount": "x"}, {"transaction_id": None}])
def test_what_claims_to_be_of_a_known_schema_and_does_not_fit_it_is_no_decision(
    name: str, wrong: dict[str, Any]
) -> None:
    """Whoever else writes to the log must not get a decision in that no worker would write."""
    own = preset(name)
    forged = msgspec.to_builtins(decision("a"))
    forged["transaction"] |= wrong
    for schema in (PAYSIM, own):
        with pytest.raises(msgspec.DecodeError):
            schema.decode(msgspec.json.encode(forged))
    card = msgspec.to_builtins(
        decided_on(preset("cards"), preset("cards").parser.parse(CARD.encode()))
    )
    card["transaction"] |= wrong
    with pytest.raises(msgspec.DecodeError):
        preset("cards").decode(msgspec.json.encode(card))


def test_only_fields_as_they_are_kept_make_another_version() -> None:
    assert PAYSIM.version == ""
    text = presets.content("cards").decode()
    for same in (text, text.replace("coerce = true", ""), text.replace("Of the merchant", "Of it")):
        assert Schema(reading.read(same.encode(), "c")).version == preset("cards").version
    other = text.replace("max_length = 3", "max_length = 4")
    assert Schema(reading.read(other.encode(), "c")).version != preset("cards").version
