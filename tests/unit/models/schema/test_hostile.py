"""Whatever a schema file says, it is a schema or refused with sentences; none takes for ever."""

from __future__ import annotations

import json
from contextlib import suppress
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.schema.consistency import MAX_PROBLEMS
from models.schema.definition import ID
from models.schema.reading import SchemaError, definition_of, read
from models.schema.schema import Schema

TYPES = ["text", "number", "amount", "category", "flag", "time"]
NUMBERS = st.sampled_from([-1, 0, 0.5, 1, 2**31, 1e15, 1e300, 10**400, float("inf"), float("nan")])
TEXTS = st.sampled_from(
    ["", "a", "b", "true", "x.y", "x[0]", "a\0b", "\ud800", "2026-01-01T00:00Z"]
)
ROLES = ["time", "sender", "receiver", "amount", "kind", "label", "weight", "upstream_flag"]
OPTIONS: dict[str, st.SearchStrategy[Any]] = {
    "role": st.sampled_from(ROLES),
    "path": TEXTS,
    "columns": st.lists(TEXTS, max_size=2),
    "description": TEXTS,
    "optional": st.booleans(),
    "default": NUMBERS | TEXTS | st.booleans(),
    "coerce": st.booleans(),
    "min": NUMBERS,
    "max": NUMBERS,
    "whole": st.booleans(),
    "unit": NUMBERS,
    "currency": st.sampled_from(["f0", "f1", "none"]),
    "values": st.lists(TEXTS, max_size=3),
    "max_length": st.integers(-1, 20) | st.just(10**400),
    "format": st.sampled_from(["iso8601", "epoch", "epoch_ms", "hour"]),
    "form": st.sampled_from(["boolean", "0/1"]),
}
FIELDS = st.tuples(
    st.sampled_from(TYPES), st.lists(st.sampled_from([*OPTIONS]), max_size=4, unique=True)
).flatmap(
    lambda given: st.fixed_dictionaries(
        {"type": st.just(given[0]), **{name: OPTIONS[name] for name in given[1]}}
    )
)
NAMES = st.sampled_from(["f0", "f1", ID])
ONE = ["number", "log", "zero", "one_hot", "frequency", "rate", "hour_of_day", "day_of_week"]
FEATURES = st.one_of(
    *(st.fixed_dictionaries({each: NAMES}, optional={"value": TEXTS}) for each in ONE),
    *(
        st.fixed_dictionaries(
            {each: st.lists(NAMES, max_size=3)},
            optional={
                "when": st.dictionaries(NAMES, st.lists(TEXTS, max_size=3), max_size=2),
                "positive": st.booleans(),
                "smoothing": NUMBERS,
            },
        )
        for each in ("ratio", "difference", "equal", "exceeds")
    ),
)
ID_FIELD = {"type": "text", "role": "id"}
BASE: dict[str, Any] = {
    "name": "base",
    "fields": {
        ID: ID_FIELD,
        "amount": {"type": "amount"},
        "fee": {"type": "amount", "optional": True},
        "kind": {"type": "category", "optional": True},
    },
    "features": {"log_amount": {"log": "amount"}},
}


def with_(**tables: Any) -> dict[str, Any]:
    """The base with other tables, each of which is merged into that of its name."""
    merged = {
        name: {**BASE[name], **each} if isinstance(BASE.get(name), dict) else each
        for name, each in tables.items()
    }
    return BASE | merged


def refusal(tables: dict[str, Any]) -> str:
    with pytest.raises(SchemaError) as caught:
        definition_of(tables, "my.toml")
    return str(caught.value)


@settings(max_examples=300)
@given(st.lists(FIELDS, min_size=1, max_size=2), st.lists(FEATURES, min_size=1, max_size=2), TEXTS)
def test_any_options_of_any_type_make_a_schema_or_sentences(
    fields: list[dict[str, Any]], features: list[dict[str, Any]], text: str
) -> None:
    tables = {
        "name": "made",
        "upstream_flag": text,
        "fields": {ID: ID_FIELD} | {f"f{n}": each for n, each in enumerate(fields)},
        "features": {f"g{n}": each for n, each in enumerate(features)},
    }
    with suppress(SchemaError):
        Schema(definition_of(tables, "made.toml"))


@pytest.mark.parametrize("kind", TYPES)
def test_any_three_options_are_taken_or_refused_for_each_type(kind: str) -> None:
    given: dict[str, Any] = {
        "min": 1,
        "max": 3.5,
        "whole": True,
        "unit": 0.5,
        "max_length": 1,
        "default": 2,
    }
    given |= {"values": ["a"], "format": "hour", "form": "0/1", "optional": True, "coerce": True}
    for options in combinations(given.items(), 3):
        with suppress(SchemaError):
            Schema(
                definition_of(with_(fields={"other": {"type": kind, **dict(options)}}), "a.toml")
            )


@pytest.mark.parametrize(
    "options",
    [
        {"path": "\ud800"},
        {"path": "a.\udfff[0]"},
        {"default": "\ud800"},
        {"default": "\ud800", "type": "number"},
        {"default": "\ud800", "type": "category", "values": ["a"]},
        {"default": "\ud800", "type": "time", "format": "iso8601"},
    ],
)
def test_half_of_a_surrogate_pair_is_refused_in_words(options: dict[str, Any]) -> None:
    told = refusal(with_(fields={"other": {"type": "text", **options}}))
    assert any(each in told for each in ("U+D800", "ud800", "udfff"))


def test_a_text_cannot_be_whole() -> None:
    assert "fields.other: whole is for number, not for text" in refusal(
        with_(fields={"other": {"type": "text", "whole": True}})
    )


@pytest.mark.parametrize("count", [1, 2, 3_000])
def test_a_feature_may_be_of_many_values_of_a_category(count: int) -> None:
    chosen = [f"v{number}" for number in range(count)]
    feature = {"exceeds": ["amount", "fee"], "when": {"kind": chosen}}
    tables = with_(features={"more": feature, "v": {"one_hot": "kind", "value": "v0"}})
    schema = Schema(definition_of(tables, "my.toml"))
    kinds = ["v0", chosen[-1], "other", None, f"v{count}"]
    rows = [
        schema.parser.parse(json.dumps({ID: "a", "amount": 2.0, "fee": fee, "kind": kind}).encode())
        for kind in kinds
        for fee in (1.0, 3.0, None)
    ]
    expected = [
        np.nan if fee is None else float(fee == 1.0 and kind in chosen)
        for kind in kinds
        for fee in (1.0, 3.0, None)
    ]
    place = schema.features.names.index("more")
    together = schema.features.matrix(rows)
    alone = np.concatenate([schema.features.matrix([row]) for row in rows])
    np.testing.assert_array_equal(together, alone)
    np.testing.assert_array_equal(together[:, place], expected)


def test_a_closed_category_has_the_same_places_whichever_feature_names_it_first() -> None:
    kind = {"type": "category", "values": ["A", "B", "C"]}
    feature = {"equal": ["amount", "amount"], "when": {"kind": ["C", "A"]}}
    schema = Schema(
        definition_of(with_(fields={"kind": kind}, features={"is": feature}), "my.toml")
    )
    rows = [
        schema.parser.parse(f'{{"{ID}":"a","amount":1,"kind":"{each}"}}'.encode()) for each in "ABC"
    ]
    assert schema.features.matrix(rows)[:, 1].tolist() == [1.0, 0.0, 1.0]


MANY = 60_000
REASON: dict[str, Any] = {"features": ["log_amount"], "says": [{"code": "A", "text": "b"}]}


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        (
            {"fields": {f"f{n}": {"type": "text"} for n in range(20_000)}},
            "fields: 20,004 are more than 200",
        ),
        (
            {"features": {f"f{n}": {"log": "amont"} for n in range(20_000)}},
            "features: 20,001 are more than 200",
        ),
        (
            {"fields": {"x": {"type": "category", "values": [f"v{n}" for n in range(MANY)]}}},
            "fields.x: values: 60,000 are more than 10,000",
        ),
        (
            {"fields": {"x": {"type": "text", "columns": ["a"] * MANY}}},
            "a is the name of more than one column",
        ),
        (
            {"features": {"x": {"ratio": [f"v{n}" for n in range(MANY)]}}},
            "ratio takes 2 fields, got 60000",
        ),
        (
            {
                "features": {
                    "x": {"equal": ["amount", "fee"], "when": {f"v{n}": ["a"] for n in range(MANY)}}
                }
            },
            "and there is more",
        ),
        (
            {
                "features": {
                    "x": {"equal": ["amount", "fee"], "when": {"kind": ["a"] * MANY}},
                }
            },
            "60,000 values of kind are more than 10,000",
        ),
        ({"reasons": [REASON] * 20_000}, "reasons: 20,000 are more than 200"),
        ({"reasons": [REASON | {"says": REASON["says"] * MANY}]}, "says: 60,000 are more than 201"),
        ({"reasons": [REASON | {"features": ["x"] * MANY}]}, "and there is more"),
    ],
)
def test_much_of_anything_is_refused_in_few_words(tables: dict[str, Any], words: str) -> None:
    said = refusal(with_(**tables))
    assert words in said
    assert len(said) < MAX_PROBLEMS * 300


@pytest.mark.parametrize("bad", ["\0", "\ud800", "\x1b"])
@pytest.mark.parametrize(
    ("where", "tables"),
    [
        ("fields.x: value", lambda bad: {"fields": {"x": {"type": "category", "values": [bad]}}}),
        ("fields.x: default", lambda bad: {"fields": {"x": {"type": "text", "default": bad}}}),
        ("upstream_flag", lambda bad: {"upstream_flag": bad}),
        ("name", lambda bad: {"name": bad}),
        ("fields.", lambda bad: {"fields": {bad: {"type": "text"}}}),
        ("features.", lambda bad: {"features": {bad: {"log": "amount"}}}),
        ("features.x", lambda bad: {"features": {"x": {"one_hot": "kind", "value": bad}}}),
        (
            "reasons.1",
            lambda bad: {"reasons": [REASON | {"says": [{"code": "A", "text": f"{bad} b"}]}]},
        ),
        (
            "reasons.1",
            lambda bad: {"reasons": [REASON | {"says": [{"code": f"A{bad}", "text": "b"}]}]},
        ),
    ],
)
def test_no_text_of_a_decision_holds_characters_that_are_refused(
    where: str, tables: Any, bad: str
) -> None:
    assert f"my.toml: {where}" in refusal(with_(**tables(f"a{bad}b")))


def test_a_key_of_thousands_of_parts_is_refused_at_once() -> None:
    with pytest.raises(SchemaError, match="a key of more than 2,000 bytes"):
        read(b"a." * 60_000 + b"b = 1\n", "own.toml")


def test_only_the_first_of_thousands_of_problems_are_told() -> None:
    fields = "".join(f"[fields.f{n}]\ntyp = 1\n" for n in range(4_000))
    with pytest.raises(SchemaError, match="and 3949 more") as caught:
        read(f'name = "own"\n{fields}'.encode(), "own.toml")
    assert len(str(caught.value)) < 10_000
    assert len(caught.value.problems) == 4_000
