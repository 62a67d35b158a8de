"""The example that is made of a schema is one of its transactions."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.policy import Policy
from models.schema import presets
from models.schema.definition import ID, Definition, Feature, Field
from models.schema.example import MOMENT, example
from models.schema.schema import PAYSIM, Schema, preset
from tests.unit.models.schema.making import messages, schemas


@st.composite
def coerced_schemas(draw: st.DrawFn) -> Schema:
    """A schema some of whose fields may be written otherwise, and some have a default."""
    schema = draw(schemas())
    sent = draw(messages(schema))
    fields = {}
    for name, field in schema.definition.fields.items():
        coerce = draw(st.booleans())
        value = sent.get(name)
        has_default = name != ID and value is not None and draw(st.booleans())
        changes = {"default": value, "optional": False} if has_default else {}
        fields[name] = msgspec.structs.replace(field, coerce=coerce, **changes)
    used = {
        name: each
        for name, each in schema.definition.features.items()
        if not (each.missing and fields[each.missing].default is not None)
    } or {"any": Feature(frequency=ID)}
    return Schema(msgspec.structs.replace(schema.definition, fields=fields, features=used))


@given(coerced_schemas())
def test_it_is_read_as_it_is_and_has_every_field(schema: Schema) -> None:
    made = example(schema)
    assert schema.parser.parse(schema.encode(made)) == made
    assert None not in msgspec.to_builtins(made).values()
    assert schema.features.matrix([made]).shape == (1, len(schema.features.names))
    json.loads(schema.encode(made), parse_constant=pytest.fail)


def schema_of(**fields: Field) -> Schema:
    identity = {ID: Field(type="text", role="id", path="a.id")}
    features = {"any": Feature(frequency=ID)}
    return Schema(Definition(name="own", fields={**identity, **fields}, features=features))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (Field(type="text"), "it"),
        (Field(type="text", max_length=1), "i"),
        (Field(type="text", default="given"), "given"),
        (Field(type="category", values=["B", "A"], optional=True), "B"),
        (Field(type="amount"), 250.0),
        (Field(type="amount", max=9.5), 9.5),
        (Field(type="number", min=-3, max=-2.5), -2.5),
        (Field(type="number", whole=True, min=1.5), 2),
        (Field(type="number", default=7.0), 7.0),
        (Field(type="flag"), False),
        (Field(type="flag", default=True), True),
        (Field(type="flag", form="0/1", role="upstream_flag", default=0), 1),
        (Field(type="flag", role="label", optional=True), False),
        (Field(type="time", format="iso8601"), MOMENT),
        (Field(type="time", format="epoch"), 1772600767.0),
        (Field(type="time", format="epoch_ms"), 1772600767000),
        (Field(type="time", format="hour"), 1),
    ],
)
def test_a_value_follows_from_the_field(field: Field, value: Any) -> None:
    assert example(schema_of(it=field)).it == value


def test_the_currency_of_an_amount_is_one() -> None:
    currency = Field(type="text", max_length=3)
    made = example(schema_of(amount=Field(type="amount", currency="unit"), unit=currency))
    assert made.unit == "EUR"


def test_its_decision_is_known_where_the_sender_can_flag_it() -> None:
    assert PAYSIM.is_flagged(example(PAYSIM))
    assert Policy().decide(0.0, flagged_upstream=True).value == "BLOCK"


def test_its_time_is_fixed() -> None:
    assert datetime(2026, 3, 4, 5, 6, 7, tzinfo=timezone.utc) == MOMENT
    assert example(preset("cards")).at == MOMENT


@pytest.mark.parametrize("name", presets.names())
def test_examples_come_with_a_preset(name: str) -> None:
    assert [preset(name).parser.parse(each) for each in presets.examples(name)]
