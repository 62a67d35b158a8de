"""Whatever the schema: its messages are read as they are, and what breaks a rule is named."""

from __future__ import annotations

import json
import pickle
from contextlib import suppress
from datetime import datetime
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.parsing import InvalidTransaction
from models.schema.definition import Definition
from models.schema.paths import parse, text
from models.schema.schema import PAYSIM, Schema
from tests.unit.models.schema.making import messages, nested, schemas


def parsed(schema: Schema, message: dict[str, Any]) -> Any:
    return schema.parser.parse(json.dumps(message).encode())


@given(st.data())
def test_what_is_sent_is_read_and_written_and_read_again(data: st.DataObject) -> None:
    schema = data.draw(schemas())
    sent = data.draw(messages(schema))
    read = parsed(schema, nested(schema, sent))
    for name, field in schema.definition.fields.items():
        value = sent.get(name)
        if field.format == "iso8601" and value is not None:
            value = datetime.fromisoformat(value)
        assert getattr(read, name) == value
    assert msgspec.json.decode(msgspec.json.encode(read), type=schema.transaction) == read
    assert schema.parser.parse(schema.encode(read)) == read


@given(st.data())
def test_a_message_that_breaks_one_rule_is_refused_with_the_name_of_the_field(
    data: st.DataObject,
) -> None:
    schema = data.draw(schemas())
    sent = data.draw(messages(schema))
    name = data.draw(st.sampled_from(sorted(schema.definition.fields)))
    field = schema.definition.fields[name]
    if not field.optional and data.draw(st.booleans()):
        del sent[name]
    else:
        sent[name] = {"no": ["value"]}
    with pytest.raises(InvalidTransaction) as caught:
        parsed(schema, nested(schema, sent))
    place = text(parse(field.path or name))
    assert any(place.startswith(error.field) and error.field for error in caught.value.errors)
    if name in sent:
        assert [error.field for error in caught.value.errors] == [place]


@given(st.data(), st.binary(max_size=40) | st.text().map(str.encode))
def test_any_bytes_are_read_or_refused(data: st.DataObject, raw: bytes) -> None:
    schema = data.draw(schemas())
    whole = json.dumps(nested(schema, data.draw(messages(schema)))).encode()
    cut = data.draw(st.integers(0, len(whole)))
    for message in (raw, whole[:cut] + raw, whole[:cut] + raw + whole[cut:]):
        with suppress(InvalidTransaction):
            schema.parser.parse(message)


@given(st.data())
def test_a_row_has_the_same_features_alone_as_among_others(data: st.DataObject) -> None:
    schema = data.draw(schemas())
    rows = data.draw(st.lists(messages(schema), min_size=1, max_size=5))
    batch = [parsed(schema, nested(schema, each)) for each in rows]
    together = schema.features.matrix([*batch, batch[0]])
    assert together.shape == (len(batch) + 1, len(schema.features.names))
    for row, each in zip(together, batch, strict=False):
        assert np.array_equal(row, schema.features.matrix([each])[0], equal_nan=True)


@given(schemas())
def test_a_contract_is_the_same_for_the_same_and_another_for_other_features(
    schema: Schema,
) -> None:
    definition = schema.definition
    assert Schema(definition).contract == schema.contract
    moved = {
        name: msgspec.structs.replace(each, path=f"elsewhere.{name}", description="the same")
        for name, each in definition.fields.items()
    }
    described = msgspec.structs.replace(definition, fields=moved)
    assert Schema(described).contract == schema.contract
    name, feature = next(iter(definition.features.items()))
    other = msgspec.structs.replace(definition, features={f"{name}_": feature})
    assert Schema(other).contract != schema.contract


@given(schemas())
def test_another_process_gets_the_same_schema(made: Schema) -> None:
    ours = Schema(msgspec.json.decode(msgspec.json.encode(made.definition), type=Definition))
    theirs = pickle.loads(pickle.dumps(ours))
    assert (theirs.version, theirs.contract) == (ours.version, ours.contract)
    assert theirs.transaction.__struct_fields__ == ours.transaction.__struct_fields__


def test_models_of_paysim_serve_before_and_after_there_were_schemas() -> None:
    assert PAYSIM.contract == "before-the-move/3"
