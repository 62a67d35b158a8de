"""A schema file is read, or refused with a sentence that names the place and what is allowed."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.schema import presets
from models.schema.reading import SchemaError, definition_of, read
from models.schema.schema import Schema, load, preset

PAYSIM: dict[str, Any] = msgspec.toml.decode(presets.content("paysim"))
SMALL = """
name = "small"
[fields.transaction_id]
type = "text"
role = "id"
[fields.amount]
type = "amount"
[fields.kind]
type = "category"
values = ["IN", "OUT"]
[fields.at]
type = "time"
format = "epoch"
[features]
log_amount = {log = "amount"}
"""

junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.text(max_size=8), below),
    max_leaves=8,
)


def refusal(content: str) -> str:
    with pytest.raises(SchemaError) as caught:
        read(content.encode(), "my.toml")
    return str(caught.value)


@pytest.mark.parametrize("name", presets.names())
def test_each_preset_is_a_schema_of_its_name(name: str) -> None:
    assert preset(name).name == name


@given(st.dictionaries(st.sampled_from(["name", "fields", "features", "reasons", "x"]), junk))
def test_any_tables_are_a_schema_or_refused(tables: dict[str, Any]) -> None:
    made_of(tables)


@given(st.data(), junk)
def test_a_schema_with_anything_in_it_is_one_or_refused(data: st.DataObject, other: Any) -> None:
    tables = data.draw(st.just(PAYSIM).map(copied))
    here = tables
    while isinstance(here, dict | list) and here:
        keys = list(here) if isinstance(here, dict) else list(range(len(here)))
        key = data.draw(st.sampled_from(keys))
        if not isinstance(here[key], dict | list) or data.draw(st.booleans()):
            here[key] = other
            break
        here = here[key]
    made_of(tables)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode()))
def test_any_file_is_a_schema_or_refused(content: bytes) -> None:
    with suppress(SchemaError):
        read(content, "my.toml")


def made_of(tables: dict[str, Any]) -> None:
    """Make a schema of tables, with all that follows from it, unless they are refused."""
    with suppress(SchemaError):
        Schema(definition_of(tables, "my.toml"))


def copied(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: copied(each) for key, each in value.items()}
    return [*map(copied, value)] if isinstance(value, list) else value


def test_the_smallest_schema_is_read() -> None:
    assert list(read(SMALL.encode(), "my.toml").features) == ["log_amount"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('name = "small"', ""), "name"),
        (('name = "small"', "name = 3"), "name: expected `str`, got `int`"),
        (('name = "small"', 'name = "no good"'), "name: 'no good' must begin with a letter"),
        (('type = "amount"', 'type = "money"'), "fields.amount.type: invalid enum value 'money'"),
        (
            ('type = "amount"', 'typ = "amount"'),
            "fields.amount: object contains unknown field",
        ),
        (('role = "id"', ""), 'the id must be the field transaction_id, with role = "id"'),
        (('format = "epoch"', ""), "a time needs format: iso8601, epoch, epoch_ms or hour"),
        (('"IN", "OUT"', '"IN", "IN"'), "values must be different texts"),
        (('type = "amount"', 'type = "amount"\nmin = 2\nmax = 1'), "no number is from 2 to 1"),
        (('type = "amount"', 'type = "amount"\nmax = -1'), "no number is from 0 to -1"),
        (('type = "amount"', 'type = "amount"\nmax = nan'), "max nan is not in -1e+15 to 1e+15"),
        (('type = "amount"', 'type = "amount"\nmin = -inf'), "min -inf is not in"),
        (('type = "amount"', 'type = "amount"\nmax = nan\ndefault = 1'), "max nan is not in"),
        (
            ('type = "amount"', 'type = "text"\nmax_length = -1\ndefault = "a"'),
            "max_length -1 is not in",
        ),
        (
            ('role = "id"', 'role = "id"\nmax_length = 129'),
            "fields.transaction_id: max_length 129 is more than an id may have, 128",
        ),
        (
            ('type = "amount"', 'type = "category"\nvalues = []\ndefault = "a"'),
            "values must be different texts, at least one",
        ),
        (
            ('type = "amount"', 'type = "number"\nwhole = true\nmin = 0.2\nmax = 0.8'),
            "no number is from 1 to 0",
        ),
        (
            ('type = "amount"', 'type = "amount"\ncolumns = ["kind"]'),
            "kind is the name of more",
        ),
        (
            ('type = "amount"', 'type = "text"\ndefault = "a\\u0000b"'),
            "default: must not hold U+0000",
        ),
        (
            (
                '{log = "amount"}',
                '{exceeds = ["amount", "amount"], when = {kind = []}}',
            ),
            "when kind has no values",
        ),
        (('name = "small"', f"name = {'1' * 5_000}"), "is not TOML"),
        (('type = "amount"', 'type = "amount"\nvalues = ["x"]'), "values is for category"),
        (('type = "amount"', 'type = "amount"\npath = "a..b"'), "must be keys separated by dots"),
        (('type = "amount"', 'type = "amount"\npath = \'a"b\''), "must be keys separated by dots"),
        (('type = "amount"', 'type = "amount"\npath = "kind"'), "is taken by another field"),
        (('type = "amount"', 'type = "amount"\npath = "kind.x"'), "is taken by another field"),
        (
            ('type = "amount"', 'type = "amount"\npath = "transaction_id.x"'),
            "another field's value",
        ),
        (('type = "amount"', 'type = "amount"\ncurrency = "knd"'), "is it kind?"),
        (('type = "amount"', 'type = "amount"\nrole = "label"'), "role label needs type flag"),
        (('type = "amount"', 'type = "amount"\ndefault = "x"'), "default: expected `float`"),
        (
            ('{log = "amount"}', '{log = "amont"}'),
            "'amont', which is no field; is it amount?",
        ),
        (('{log = "amount"}', '{log = "kind"}'), "log needs number or amount; kind is category"),
        (('{log = "amount"}', "{}"), "needs exactly one of number, log, ratio"),
        (('{log = "amount"}', '{log = "amount", zero = "amount"}'), "has log, zero"),
        (('{log = "amount"}', '{ratio = ["amount"]}'), "ratio takes 2 fields, got 1"),
        (('{log = "amount"}', '{one_hot = "kind"}'), "one_hot of kind needs a value"),
        (('{log = "amount"}', '{one_hot = "kind", value = "X"}'), "not a value of kind: IN, OUT"),
        (('{log = "amount"}', '{missing = "amount"}'), "amount is not optional"),
        (('{log = "amount"}', '{one_hot = "transaction_id"}'), "role id, which no model may see"),
        (("log_amount = ", "é = "), "is not TOML"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(change: tuple[str, str], words: str) -> None:
    assert change[0] in SMALL
    assert words in refusal(SMALL.replace(*change, 1))


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        ('[[reasons]]\nfeatures = ["log_amount"]\nsays = []', "must have no condition"),
        ('[[reasons]]\nfeatures = ["x"]\nsays = [{code = "A", text = "b"}]', "'x' is no feature"),
        (
            '[[reasons]]\nfeatures = []\nsays = [{code = "A", text = "b"}]',
            "features.log_amount: is in no reason",
        ),
        (
            '[[reasons]]\nfeatures = ["log_amount"]\nsays = [{code = "A", text = "{amount.real}"}]',
            "neither a field nor a ratio",
        ),
        (
            '[[reasons]]\nfeatures = ["log_amount"]\nsays = [{code = "A", text = "{kind:.2f}"}]',
            "formats kind as a number",
        ),
        (
            '[[reasons]]\nfeatures = ["log_amount"]\nsays = [{code = "A", text = "{amount:d}"}]',
            "a format other than such as",
        ),
        (
            '[[reasons]]\nfeatures = ["log_amount"]\nsays = [{code = "A", text = "{nothing}"}]',
            "names nothing, which is no field",
        ),
        (
            '[[reasons]]\nfeatures = ["log_amount"]\n'
            'says = [{code = "A", text = "b", against = "{nothing}"}]',
            "names nothing, which is no field",
        ),
        ("reasons = 3", "reasons: must be an array of tables"),
    ],
)
def test_what_is_wrong_with_reasons_is_said(reasons: str, words: str) -> None:
    front = reasons if reasons.startswith("reasons") else ""
    assert words in refusal(f"{front}{SMALL}{'' if front else reasons}")


def test_a_file_that_is_not_there_and_a_preset_that_is_none_are_named(tmp_path: Any) -> None:
    with pytest.raises(SchemaError, match=r"none\.toml: there is no such file; presets are"):
        load(tmp_path / "none.toml")
    with pytest.raises(SchemaError, match=r"no preset; there are .*paysim"):
        preset("paysm")
