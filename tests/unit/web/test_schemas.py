"""The documents and the form are those of the schema that serves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from fraudapp.settings import Settings, load
from models.parsing import InvalidTransaction
from models.schema import presets
from models.schema.definition import ID, Definition, Feature, Field
from models.schema.schema import PAYSIM, Schema, preset
from tests.support.views import view_bench
from tests.unit.models.schema.making import messages, nested, schemas
from tests.unit.models.schema.test_example import coerced_schemas
from tests.unit.web.test_descriptions import references_in
from web import asyncapi, examples, openapi, paysim
from web.control import asyncapi as control
from web.examples import documented
from web.form import FormField, form
from web.messages import component

NAMES = presets.names()
OF_LABELS = {"Label", "Labelled", "Said"}


def settings_of(schema: Schema) -> Settings:
    return load({}).model_copy(update={"transaction_schema": schema})


def plain(document: dict[str, Any]) -> dict[str, Any]:
    """A document as callers get it."""
    return dict(msgspec.json.decode(msgspec.json.encode(document)))


def both(schema: Schema) -> Iterator[dict[str, Any]]:
    yield plain(openapi.document(settings_of(schema)))
    yield plain(asyncapi.document(settings_of(schema)))


def check_documents(schema: Schema) -> None:
    described, topics = both(schema)
    validate(described)
    for document in (described, topics):
        for reference in references_in(document):
            target: Any = document
            for step in reference.removeprefix("#/").split("/"):
                target = target[step]
    of_topics = {each.__name__ for each in control.TYPES} | OF_LABELS
    shared = {
        name: each
        for name, each in topics["components"]["schemas"].items()
        if name not in of_topics
    }
    assert shared.items() <= described["components"]["schemas"].items()
    shown = documented(schema)
    validator_of(described, component(schema)).validate(plain(shown.message))
    validator_of(described, "Decision").validate(plain(shown.decision))
    validator_of(described, "Pending").validate(plain(shown.pending))
    for name in ("Label", "Labelled"):
        (example,) = topics["components"]["messages"][name]["examples"]
        validator_of(topics, name).validate(example["payload"])
    made = schema.decode(msgspec.json.encode(shown.decision))
    read = schema.parser.parse(msgspec.json.encode(shown.message))
    assert made.transaction == read
    assert made.transaction_id == read.transaction_id
    assert made.reasons


def validator_of(document: dict[str, Any], name: str) -> Draft202012Validator:
    schema = {**document["components"]["schemas"][name], "components": document["components"]}
    return Draft202012Validator(schema)


@pytest.mark.parametrize("name", NAMES)
def test_the_documents_of_a_preset_are_valid_and_so_are_their_examples(name: str) -> None:
    check_documents(preset(name))


@settings(max_examples=10)
@given(schemas())
def test_the_documents_of_any_schema_are_valid_and_so_are_their_examples(schema: Schema) -> None:
    check_documents(schema)


@pytest.mark.parametrize("name", NAMES)
def test_all_messages_that_come_with_a_preset_are_as_described(name: str) -> None:
    document = next(both(preset(name)))
    validator = validator_of(document, component(preset(name)))
    for line in presets.examples(name):
        validator.validate(msgspec.json.decode(line))


@given(st.data())
def test_what_is_read_is_as_described_and_what_breaks_a_rule_is_not(data: st.DataObject) -> None:
    schema = data.draw(schemas())
    described = asyncapi.document(settings_of(schema))
    validator = validator_of(plain(described), component(schema))
    sent = data.draw(messages(schema))
    assert validator.is_valid(nested(schema, sent))
    name = data.draw(st.sampled_from(sorted(schema.definition.fields)))
    sent[name] = data.draw(st.sampled_from([{}, [], [1], None, 1e300, -1e300, 0.5]))
    message = nested(schema, sent)
    try:
        schema.parser.parse(msgspec.json.encode(message))
    except InvalidTransaction:
        assert not validator.is_valid(message)
    else:
        assert validator.is_valid(message)


@given(st.data())
def test_what_may_be_written_otherwise_is_described(data: st.DataObject) -> None:
    schema = data.draw(coerced_schemas())
    sent = data.draw(messages(schema))
    name = data.draw(st.sampled_from(sorted(schema.definition.fields)))
    sent[name] = data.draw(st.sampled_from(["1", 1, "true", "2026-03-04 05:06:07", None, 0.0]))
    message = nested(schema, sent)
    with suppress(InvalidTransaction):
        schema.parser.parse(msgspec.json.encode(message))
        document = plain(asyncapi.document(settings_of(schema)))
        assert validator_of(document, component(schema)).is_valid(message)


def test_paysim_is_described_as_it_always_was() -> None:
    document = next(both(PAYSIM))
    names = document["components"]["schemas"].keys()
    assert component(PAYSIM) == "Transaction"
    assert not [name for name in names if "Message" in name]
    body = document["paths"]["/transactions"]["post"]["requestBody"]["content"]["application/json"]
    assert body["examples"]["one"]["value"] == paysim.MESSAGE
    assert PAYSIM.is_flagged(PAYSIM.parser.from_mapping(paysim.MESSAGE))
    assert body["schema"]["anyOf"][0] == {"$ref": "#/components/schemas/Transaction"}


def test_a_message_lies_as_its_schema_says_and_a_decision_has_fields_by_their_names() -> None:
    document = next(both(preset("pacs008")))
    components = document["components"]["schemas"]
    transfer = components["TransactionMessage"]["properties"]["FIToFICstmrCdtTrf"]
    item = transfer["properties"]["CdtTrfTxInf"]
    assert (item["minItems"], item["maxItems"]) == (1, 1)
    assert {*item["items"]["properties"]["IntrBkSttlmAmt"]["properties"]} == {"#text", "@Ccy"}
    assert "amount" in components["Transaction"]["properties"]
    assert components["Decision"]["properties"]["transaction"] == {
        "$ref": "#/components/schemas/Transaction"
    }


def test_a_field_may_be_called_like_anything_in_the_documents() -> None:
    named = ["Transaction", "Decision", "Decision_Transaction_", "TransactionMessage", "Message"]
    fields = {name: Field(type="text", path=f"Decision.{name}") for name in named}
    schema = Schema(
        Definition(
            name="own",
            fields={ID: Field(type="text", role="id"), **fields},
            features={"any": Feature(frequency="Message")},
        )
    )
    check_documents(schema)
    components = next(both(schema))["components"]["schemas"]
    assert {*components["Transaction"]["properties"]} == {ID, *named}


def test_a_preset_with_one_more_field_has_an_example_of_its_own() -> None:
    definition = preset("cards").definition
    own = Schema(
        msgspec.structs.replace(
            definition, fields={**definition.fields, "channel": Field(type="text", path="x.y")}
        )
    )
    (only,) = examples.shown(own)
    assert only.message["x"] == {"y": "channel"}
    assert len(examples.shown(preset("cards"))) == 10


def by_name(schema: Schema) -> dict[str, FormField]:
    return {each.name: each for each in form(schema).fields}


@given(schemas())
def test_the_form_has_every_field_once_and_its_buttons_fill_in_all(schema: Schema) -> None:
    made = form(schema)
    assert [each.name for each in made.fields] == list(schema.definition.fields)
    assert [each.label for each in made.presets] == ["Example"]
    assert made.presets[0].values.keys() == schema.definition.fields.keys()
    assert msgspec.json.decode(msgspec.json.encode(made), type=type(made)) == made


def test_paysim_has_its_own_words_and_buttons() -> None:
    made = form(PAYSIM)
    asked = [each.label for each in made.fields if each.asked]
    assert asked[:5] == ["Id", "Type", "Amount", "Hour", "Sender"]
    assert asked[-1] == "Flagged by the sender"
    assert {each.name for each in made.fields} == PAYSIM.definition.fields.keys()
    assert [each.label for each in made.presets] == ["Payment", "Drained account", "Flagged"]
    for each in made.presets:
        PAYSIM.parser.from_mapping({ID: "t", **each.values})


def test_another_example_is_one_of_fraud() -> None:
    first, other = form(preset("cards")).presets
    assert (first.values["is_fraud"], other.values["is_fraud"]) == (0, 1)


def test_the_label_is_asked_for_only_where_a_message_must_have_it() -> None:
    definition = PAYSIM.definition
    label = msgspec.structs.replace(definition.fields["isFraud"], default=None)
    own = msgspec.structs.replace(definition, fields={**definition.fields, "isFraud": label})
    assert not by_name(PAYSIM)["isFraud"].asked
    assert by_name(Schema(own))["isFraud"].asked
    assert by_name(PAYSIM)["isFlaggedFraud"].asked


@pytest.mark.parametrize(
    ("unit", "digits"), [(None, 2), (0.01, 2), (0.05, 2), (1, 0), (100, 0), (0.001, 3), (1e-8, 8)]
)
def test_an_amount_is_shown_to_its_smallest_unit(unit: float | None, digits: int) -> None:
    fields = {**PAYSIM.definition.fields, "amount": Field(type="amount", unit=unit)}
    own = Schema(msgspec.structs.replace(PAYSIM.definition, fields=fields))
    assert by_name(own)["amount"].digits == digits


@pytest.mark.parametrize("name", ["cards", "pacs008"])
async def test_the_schema_of_the_settings_is_the_one_that_is_served(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    bench = view_bench(tmp_path, monkeypatch, FRAUD_SCHEMA=name)
    bench.become_ready()
    async with bench.served() as client:
        for path, document in zip(
            ("/openapi.json", "/asyncapi.json"), both(preset(name)), strict=True
        ):
            async with client.get(path) as answer:
                served = await answer.json()
            assert served["components"]["schemas"] == document["components"]["schemas"]
        async with client.get("/stats/form") as answer:
            assert (answer.status, answer.content_type) == (200, "application/json")
            assert await answer.json() == msgspec.to_builtins(form(preset(name)))


async def test_who_has_no_key_sees_the_page_and_nothing_of_the_schema(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = {"FRAUD_API_KEYS": "reader:read:a-secret-of-a-reader-1"}
    bench = view_bench(tmp_path, monkeypatch, FRAUD_SCHEMA="cards", **keys)
    async with bench.served() as client:
        async with client.get("/stats/form", headers={"Accept": "text/html"}) as answer:
            assert answer.status == 401
        async with client.get("/stats", headers={"Accept": "text/html"}) as answer:
            page = await answer.text()
    assert answer.status == 200
    assert "terminal_id" not in page
