"""Files of any schema: messages on lines of JSON, and columns of CSV, are read as its fields."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.cli.transaction_files import InvalidRow, read_file
from models.files.lines import UnreadableFile
from models.parsing import InvalidTransaction
from models.records import Transaction
from models.schema.definition import ID
from models.schema.reading import read
from models.schema.schema import Schema
from tests.unit.models.schema.making import messages, nested, schemas

NESTED = Schema(
    read(
        b"""
name = "nested"
[fields.transaction_id]
type = "text"
role = "id"
path = "Tx[0].Id"
columns = ["reference"]
[fields.amount]
type = "amount"
path = "Tx[0].Amt.Value"
coerce = true
[fields.paid]
type = "flag"
path = "Tx[0].Paid"
optional = true
[features]
log_amount = { log = "amount" }
""",
        "nested.toml",
    )
)


def transactions(path: Path, schema: Schema) -> list[Any]:
    return list(read_file(path, "row", schema))


@given(st.data())
def test_messages_of_a_file_are_those_of_the_topic(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    schema = data.draw(schemas())
    sent = [
        nested(schema, data.draw(messages(schema))) for _ in range(data.draw(st.integers(1, 4)))
    ]
    path = tmp_path_factory.mktemp("files") / "messages.jsonl"
    path.write_text("".join(f"{json.dumps(each)}\n" for each in sent))
    expected = [schema.parser.parse(json.dumps(each).encode()) for each in sent]
    assert transactions(path, schema) == expected


@given(st.data())
def test_a_csv_file_has_a_column_for_each_field(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    schema = data.draw(schemas())
    sent = data.draw(messages(schema))
    names = list(schema.definition.fields)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerow(["" if sent.get(name) is None else sent[name] for name in names])
    path = tmp_path_factory.mktemp("files") / "messages.csv"
    path.write_text(text.getvalue(), newline="")
    expected = schema.parser.parse(json.dumps(nested(schema, sent)).encode())
    (found,) = transactions(path, schema)
    for name in names:
        # An empty cell is an unknown value, not an empty text.
        value = getattr(expected, name)
        assert getattr(found, name) == (None if value == "" and _may_lack(schema, name) else value)


def _may_lack(schema: Schema, name: str) -> bool:
    return schema.definition.fields[name].optional


def test_a_column_may_have_another_name_and_text_be_a_number(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("reference,amount,paid\na,12.5,true\nb,1e3,\nc,x,0\n")
    one, other, wrong = transactions(path, NESTED)
    assert (one.transaction_id, one.amount, one.paid) == ("a", 12.5, True)
    assert (other.transaction_id, other.amount, other.paid) == ("b", 1_000.0, None)
    assert isinstance(wrong, InvalidRow)
    assert "amount: expected a number, got 'x'" in str(wrong)


def test_a_line_that_breaks_a_rule_names_its_field(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    two = {"Tx": [{"Id": "a", "Amt": {"Value": 1}}] * 2}
    path.write_text(f'{json.dumps(two)}\n{{"Tx": [{{"Id": "b"}}]}}\n')
    first, second = transactions(path, NESTED)
    assert "Tx[0] must be an array of exactly one item" in str(first)
    assert "amount: is missing" in str(second)


@pytest.mark.parametrize("tx", ["5", "[5]", '[{"Id": "a", "Amt": 5}]', "null", "[]"])
def test_what_is_no_message_is_refused_as_on_the_topic(tmp_path: Path, tx: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"Tx": {tx}}}\n')
    (found,) = transactions(path, NESTED)
    assert isinstance(found, InvalidRow)
    with pytest.raises(InvalidTransaction):
        NESTED.parser.parse(path.read_bytes())


def test_a_column_that_is_missing_is_named_with_those_that_are_needed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("reference;sum\na;1\n")
    with pytest.raises(UnreadableFile, match=r"amount is missing.*separated by semicolons"):
        transactions(path, NESTED)


def test_rows_without_an_id_get_one(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("amount\n1\n")
    (found,) = transactions(path, NESTED)
    assert isinstance(found, Transaction)
    assert getattr(found, ID) == "row-1"
