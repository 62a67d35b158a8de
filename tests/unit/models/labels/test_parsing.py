"""A label is taken as it is or refused, with everything that is wrong with it."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.labels.parsing import InvalidLabel, from_mapping, parse
from models.labels.records import Label, Source, encode
from models.parsing import Unread
from models.records import FieldError
from tests.support.transactions import writable

GOOD: dict[str, Any] = {
    "transaction_id": "t1",
    "label": 1,
    "source": "analyst",
    "at": "2026-03-04T05:06:07+02:00",
    "by": "ann",
}
NOW = datetime(2026, 3, 5, tzinfo=timezone.utc)
names = st.text(writable, min_size=1, max_size=128)
labels = st.builds(
    Label,
    transaction_id=names,
    label=st.sampled_from([0, 1]),
    source=st.sampled_from(Source),
    at=st.datetimes(
        min_value=datetime(1970, 1, 2), max_value=datetime(9998, 1, 1), timezones=st.timezones()
    ).map(lambda at: at.astimezone(timezone.utc)),
    by=names,
)


@given(labels)
def test_a_label_is_read_as_it_was_written(label: Label) -> None:
    assert parse(encode(label)) == label
    assert from_mapping(json.loads(encode(label))) == label


@pytest.mark.parametrize(("given_", "read"), [(True, 1), (False, 0), (1, 1), (0, 0)])
def test_a_truth_value_is_a_label_too(given_: object, read: int) -> None:
    label = parse(json.dumps({**GOOD, "label": given_, "note": "not ours"}).encode())
    assert label.label == read
    assert type(label.label) is int
    assert label.at == datetime(2026, 3, 4, 3, 6, 7, tzinfo=timezone.utc)


def test_when_it_was_learned_may_be_left_out_where_it_is_told_at_once() -> None:
    fields = {name: value for name, value in GOOD.items() if name != "at"}
    local = NOW.astimezone(timezone(timedelta(hours=5)))
    for label in (parse(json.dumps(fields).encode(), local), from_mapping(fields, local)):
        assert (label.at, label.at.utcoffset()) == (NOW, timedelta())
    assert errors(fields) == [FieldError("at", "is missing")]


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("label", 2, "must be 0 or 1, where 1 means fraud, got 2"),
        ("label", "1", "must be 0 or 1, where 1 means fraud, got "),
        ("label", 1.0, "must be 0 or 1, where 1 means fraud, got 1.0"),
        ("label", None, "must be 0 or 1"),
        ("source", "ANALYST", "must be one of confirmed, chargeback, analyst, customer, got "),
        ("source", 1, "must be one of confirmed, chargeback, analyst, customer, got 1"),
        ("at", "2026-03-04", "invalid RFC3339 encoded datetime, got "),
        ("at", "2026-03-04T05:06:07", "expected `datetime` with a timezone component, got "),
        ("at", "1969-12-31T05:06:07Z", "must be between the years 1970 and 9998"),
        ("at", "0001-01-01T00:00:00+14:00", "must be between the years 1970 and 9998"),
        ("at", 1_772_600_000, "expected `datetime`, got `int`"),
        ("at", None, "expected `datetime`, got `null`"),
        ("by", "", "expected `str` of length >= 1, got "),
        ("by", "x" * 129, "expected `str` of length <= 128, got "),
        ("by", "a\nb", "must not hold U+000A (a control character, at position 2)"),
        ("transaction_id", "a\0", "must not hold U+0000 (a control character, at position 2)"),
        ("transaction_id", "", "expected `str` of length >= 1, got "),
        ("transaction_id", 7, "expected `str`, got `int`"),
    ],
)
def test_what_is_wrong_with_a_field_is_told(field: str, value: object, problem: str) -> None:
    (error,) = errors({**GOOD, field: value})
    assert error.field == field
    assert error.problem.startswith(problem)
    with pytest.raises(InvalidLabel) as failure:
        from_mapping({**GOOD, field: value}, NOW)
    assert [each.field for each in failure.value.errors] == [field]


@given(st.sets(st.sampled_from(sorted(GOOD)), min_size=1), st.data())
def test_everything_that_is_wrong_is_told_at_once(wrong: set[str], data: st.DataObject) -> None:
    fields = {**GOOD}
    for name in wrong:
        if data.draw(st.booleans()):
            del fields[name]
        else:
            fields[name] = ["nested", {"much": [1] * 5}]
    assert [each.field for each in errors(fields)] == [each for each in GOOD if each in wrong]
    with pytest.raises(InvalidLabel) as failure:
        from_mapping(fields)
    assert [each.field for each in failure.value.errors] == [each for each in GOOD if each in wrong]


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (None, "the message is empty"),
        (b"", "the message is empty"),
        (b"[]", "must be a JSON object, got an array"),
        (b"7", "must be a JSON object, got a number"),
        (b"{", "not valid JSON: "),
        (b"\xff", "not valid JSON: "),
        (b"[" * 5_000, "not valid JSON: "),
        (Unread(b"{", 9_000_000), "the message has 9,000,000 bytes, too many to be unpacked"),
    ],
)
def test_what_is_no_object_is_told_as_a_whole(raw: bytes | None, problem: str) -> None:
    with pytest.raises(InvalidLabel) as failure:
        parse(raw)
    (error,) = failure.value.errors
    assert error.field == ""
    assert error.problem.startswith(problem)
    assert str(failure.value) == error.problem


def test_what_is_no_mapping_is_told_as_a_whole() -> None:
    with pytest.raises(InvalidLabel, match="must be a JSON object, got a number"):
        from_mapping(7)


def errors(fields: dict[str, Any]) -> list[FieldError]:
    with pytest.raises(InvalidLabel) as failure:
        parse(json.dumps(fields).encode())
    return failure.value.errors
