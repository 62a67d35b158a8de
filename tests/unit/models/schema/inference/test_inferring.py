"""A draft made of a sample is a schema by which the sample is valid, whatever the sample is."""

from __future__ import annotations

import csv
import io
import json
import tempfile
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fraudapp.cli.transaction_files import read_file
from models.files.cells import SEPARATORS
from models.files.lines import UnreadableFile
from models.records import Transaction
from models.schema.consistency import MAX_FIELDS
from models.schema.inference.checking import check
from models.schema.inference.inferring import MAX_MESSAGES, infer
from models.schema.inference.samples import SampleError, read_sample
from models.schema.reading import read
from models.schema.schema import Schema

NAMES = """
    id transaction_id amount amt at time ts type from to debtor iban isFraud class a.b x[0] self é
    mcc zip fraud_type
    #text @Ccy transaction-id Amount CreDtTm e t r lambda " \\
"""
KEYS = st.sampled_from(NAMES.split()) | st.text(max_size=4)
KINDS: list[st.SearchStrategy[Any]] = [
    st.booleans(),
    st.integers(0, 1),
    st.integers(),
    st.integers(1_600_000_000, 1_800_000_000),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["true", "False"]),
    st.sampled_from(["Yes", "NO"]),
    st.sampled_from(["t", "f", "y"]),
    st.integers(5_400, 5_420),
    st.sampled_from(["1", "12.50", "-3"]),
    st.sampled_from(["EUR", "IN", "OUT", "", "long " * 40]),
    st.datetimes().map(lambda each: each.isoformat()),
    st.datetimes().map(lambda each: f"{each.isoformat()}Z"),
    st.text(st.characters(codec="utf-8"), max_size=6),
]
ANYTHING = st.recursive(
    st.none() | st.one_of(KINDS),
    lambda below: st.lists(below, max_size=2) | st.dictionaries(KEYS, below, max_size=3),
    max_leaves=6,
)


@st.composite
def shapes(draw: st.DrawFn) -> st.SearchStrategy[Any]:
    """What lies under one key: mostly one kind of value, perhaps within objects or an array."""
    kind: st.SearchStrategy[Any] = draw(st.sampled_from([*KINDS, ANYTHING]))
    kind = kind | st.none() if draw(st.booleans()) else kind
    for _ in range(draw(st.integers(0, 2))):
        if draw(st.booleans()):
            kind = st.lists(kind, min_size=1, max_size=1)
        else:
            one, other = draw(st.lists(KEYS, min_size=2, max_size=2, unique=True))
            kind = st.fixed_dictionaries({one: kind}, optional={other: kind})
    return kind


@st.composite
def samples(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Messages whose values are of one shape each, for the most part, and some are missing."""
    found = draw(st.dictionaries(KEYS, shapes(), min_size=2, max_size=5))
    optional = draw(st.sets(st.sampled_from(sorted(found)), max_size=2))
    required = {key: kind for key, kind in found.items() if key not in optional}
    message = st.fixed_dictionaries(required, optional={key: found[key] for key in optional})
    messages = draw(st.lists(message, min_size=1, max_size=5))
    return [{"id": f"t{number}"} | each for number, each in enumerate(messages)]


def faults(content: str | bytes, draft: str, suffix: str) -> list[str]:
    """What is wrong with the messages of a file, by the draft; their features are made too."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sample{suffix}"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        schema = Schema(read(draft.encode(), "draft"))
        found = [each.sentence(path) for each in check(schema, path) if each]
        if not found:
            made = [each for each in read_file(path, "x", schema) if isinstance(each, Transaction)]
            assert suffix == ".jsonl" or len(made) == len([*check(schema, path)])
            assert schema.features.matrix(made).shape == (len(made), len(schema.features.names))
        return found


def drafted(content: str | bytes, suffix: str = ".jsonl") -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sample{suffix}"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return infer(read_sample(path, MAX_MESSAGES), "sample")


def in_lines(messages: list[dict[str, Any]]) -> str:
    return "".join(f"{json.dumps(each, ensure_ascii=False)}\n" for each in messages)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(samples())
def test_any_messages_are_valid_by_their_draft_or_have_none(messages: list[dict[str, Any]]) -> None:
    content = in_lines(messages)
    try:
        draft = drafted(content)
    except SampleError:
        return
    assert faults(content, draft, ".jsonl") == []


CELLS = (
    st.integers().map(str)
    | st.floats().map(str)
    | st.sampled_from(
        ["", "0", "1", "007", "5411", "true", "No", "EUR", "2026-01-02T03:04:05Z", " 1"]
    )
    | st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=5)
)


@st.composite
def tables(draw: st.DrawFn) -> str:
    names = draw(st.lists(KEYS.filter(lambda key: not {*"\r\n"} & {*key}), min_size=1, unique=True))
    pools = [draw(st.lists(CELLS, min_size=1, max_size=3)) for _ in names]
    rows = [[draw(st.sampled_from(pool)) for pool in pools] for _ in range(draw(st.integers(1, 5)))]
    out = io.StringIO()
    end = "\n" if draw(st.booleans()) else ""
    quoting: Literal[0, 1] = csv.QUOTE_ALL if draw(st.booleans()) else csv.QUOTE_MINIMAL
    separator = draw(st.sampled_from([*SEPARATORS]))
    writer = csv.writer(out, lineterminator="\n", quoting=quoting, delimiter=separator)
    writer.writerows([names, *rows])
    return out.getvalue()[:-1] + end


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(tables())
def test_any_table_is_valid_by_its_draft_or_has_none(content: str) -> None:
    try:
        draft = drafted(content, ".csv")
    except (SampleError, UnreadableFile):
        return
    assert faults(content, draft, ".csv") == []


MESSAGES: list[dict[str, Any]] = [
    {
        "payment": {"id": f"p{number}", "createdAt": "2026-01-02T03:04:05Z"},
        "amount": {"value": f"{number}.50", "currency": "EUR" if number % 2 else "USD"},
        "debtor": {"account": {"iban": f"DE{number}"}, "country": "DE"},
        "creditor": [{"account": {"iban": f"FR{number}"}}],
        "channel": ["web", "app"][number % 2],
        "logins": number,
        "device": {"trusted": bool(number % 2)} if number % 3 else None,
        "is_fraud": int(number == 4),
        "tags": ["a"] * (number % 3),
    }
    for number in range(12)
]


def test_types_paths_and_roles_are_guessed() -> None:
    definition = read(drafted(in_lines(MESSAGES)).encode(), "draft")
    fields = definition.fields.items()
    roles = {each.role: each.path or name for name, each in fields if each.role}
    assert roles == {
        "id": "payment.id",
        "time": "payment.createdAt",
        "sender": "debtor.account.iban",
        "receiver": "creditor[0].account.iban",
        "amount": "amount.value",
        "kind": "channel",
        "label": "is_fraud",
    }
    by_path = {each.path or name: each for name, each in definition.fields.items()}
    assert (by_path["amount.value"].type, by_path["amount.value"].coerce) == ("amount", True)
    assert by_path["payment.createdAt"].format == "iso8601"
    assert by_path["amount.currency"].type == "category"
    assert definition.fields[by_path["amount.value"].currency or ""] == by_path["amount.currency"]
    assert by_path["logins"].type == "number"
    assert (by_path["device.trusted"].type, by_path["device.trusted"].optional) == ("flag", True)
    assert (by_path["is_fraud"].form, by_path["is_fraud"].default) == ("0/1", 0)


def test_a_draft_says_what_it_leaves_out_and_what_is_to_decide() -> None:
    draft = drafted(in_lines(MESSAGES))
    assert "# Left out: tags: it is an array that does not always have exactly one item." in draft
    assert '# values = ["app", "web"]  # all that were seen: are there no others?' in draft
    short = drafted(in_lines([{"id": "a", "x": 1.5}, {"id": "b", "x": 2.5}]))
    assert '# No field has role = "amount", what is paid' in short


@pytest.mark.parametrize("names", [["ccy", "settlement_ccy"], ["country"], ["recurring"]])
def test_a_currency_is_guessed_only_where_it_can_be_no_other(names: list[str]) -> None:
    messages = [{"id": f"t{n}", "amount": n + 0.5, **dict.fromkeys(names, "EUR")} for n in range(9)]
    assert '# currency = "NAME"' in drafted(in_lines(messages))


def test_labels_are_no_features() -> None:
    definition = read(drafted(in_lines(MESSAGES)).encode(), "draft")
    assert not any("is_fraud" in str(each) for each in definition.features.values())


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"id": "a", "amount": 1}\n[1]\n', "line 2: must be a JSON object"),
        ('{"id": "a", "amount": 1}\n\n{"id": \n', "line 3: not valid JSON"),
        ('{"amount": 1}\n{"amount": 2}\n', "each transaction needs an id"),
        ('{"id": "a"}\n', "there is nothing to score by"),
        ('{"id": 0, "transaction_id": 0.0}\n', "there is nothing to score by"),
    ],
)
def test_a_sample_without_a_draft_says_why(content: str, words: str) -> None:
    with pytest.raises(SampleError, match=words):
        drafted(content)


def test_rows_without_an_id_get_one_of_their_number() -> None:
    content = "step,amount\n1,5.0\n2,7.5\n"
    draft = drafted(content, ".csv")
    assert "No column is an id" in draft
    assert faults(content, draft, ".csv") == []


def test_numbers_too_large_to_calculate_with_are_texts() -> None:
    messages = [{"id": "a", "card": 4929_0000_0000_0001}, {"id": "b", "card": 4929_0000_0000_0002}]
    definition = read(drafted(in_lines(messages)).encode(), "draft")
    assert (definition.fields["card"].type, definition.fields["card"].role) == ("text", "sender")


def test_more_fields_than_a_schema_may_have_are_left_out() -> None:
    message = {"id": "a"} | {f"n{number}": number + 0.5 for number in range(300)}
    draft = drafted(in_lines([message, message]))
    assert len(read(draft.encode(), "draft").fields) == MAX_FIELDS
    assert "# Left out: 51 others." in draft
    assert faults(in_lines([message, message]), draft, ".jsonl") == []


def test_fields_of_the_same_key_have_names_of_their_own() -> None:
    message = {"id": "a", "debtor": {"name": "x", "country": "DE"}, "creditor": {"country": "FR"}}
    fields = read(drafted(in_lines([message])).encode(), "draft").fields
    assert {*fields} == {"transaction_id", "debtor_name", "debtor_country", "creditor_country"}


def test_values_too_deep_for_a_path_are_left_out() -> None:
    deep: Any = 1.5
    for _ in range(40):
        deep = {"a": deep}
    draft = drafted(in_lines([{"id": "x", "amount": 5.5, "deep": deep}]))
    assert "and paths 32 keys" in draft


@pytest.mark.parametrize("separator", [*SEPARATORS])
def test_columns_named_by_paths_are_fields_at_these_paths(separator: str) -> None:
    content = "tx.id,tx.amount[0],debtor.iban\na,1.5,DE1\nb,2.5,\n".replace(",", separator)
    draft = drafted(content, ".csv")
    fields = read(draft.encode(), "draft").fields
    assert {each.path for each in fields.values()} == {"tx.id", "tx.amount[0]", "debtor.iban"}
    assert faults(content, draft, ".csv") == []


def test_no_field_has_the_name_of_another_column() -> None:
    content = "Ref No,x.amount,amount,x_amount,transaction_id\na,1,2.5,3.5,u\nb,4,5.5,6.5,\n"
    draft = drafted(content, ".csv")
    fields = read(draft.encode(), "draft").fields
    assert {name for name, each in fields.items() if each.path is None} >= {"x_amount", "amount"}
    assert fields["transaction_id"].path is None
    assert faults(content, draft, ".csv") == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("a,a\n1,2\n", "column 'a' is there twice"),
        ("id,amount\na,1.5\nb,2", "line 3: amount: '2' may be cut off"),
        ("id,amount\na,1.5\nb\n", "line 3: has 1 cells where the header has 2"),
        ("id,amount,Amount\na,1.5,\n", "'Amount' is no column of a transaction: write amount"),
        ("transaction_id,id,amount\n1.5,a,1\n", "column transaction_id must hold ids"),
        ("id,amount\n", "the sample has no messages"),
    ],
)
def test_a_table_without_a_draft_says_why(content: str, words: str) -> None:
    with pytest.raises((SampleError, UnreadableFile), match=words):
        drafted(content, ".csv")


def in_parquet(table: Any) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def test_nested_columns_of_parquet_are_drafted_as_messages_are() -> None:
    content = in_parquet(pa.Table.from_pylist(MESSAGES))
    draft = drafted(content, ".parquet")
    assert faults(content, draft, ".parquet") == []
    by_path = {
        each.path or name: each.type for name, each in read(draft.encode(), "draft").fields.items()
    }
    of_lines = read(drafted(in_lines(MESSAGES)).encode(), "draft").fields
    assert by_path == {each.path or name: each.type for name, each in of_lines.items()}


def test_types_of_parquet_are_drafted_and_what_has_none_is_left_out() -> None:
    count = 8
    columns = {
        "transaction_id": [None, *range(1, count)],
        "at": [datetime(2026, 1, 2, tzinfo=timezone.utc)] * count,
        "opened": [datetime(2025, 1, 2), None] * 4,
        "amount": [Decimal(each).scaleb(-2) for each in range(count)],
        "rate": [1.5, float("nan")] * 4,
        "kind": pa.array(["in", "out"] * 4).dictionary_encode(),
        "a.b": [True, False] * 4,
        "raw": [b"x"] * count,
        "within": [{"raw": b"x", "x": 1.5}] * count,
    }
    content = in_parquet(pa.table(columns))
    draft = drafted(content, ".parquet")
    assert faults(content, draft, ".parquet") == []
    fields = read(draft.encode(), "draft").fields
    by_path = {each.path or name: each for name, each in fields.items()}
    types = {path: (each.type, each.optional) for path, each in by_path.items()}
    assert types == {
        "transaction_id": ("text", False),
        "at": ("time", False),
        "opened": ("time", True),
        "amount": ("amount", False),
        "rate": ("number", True),
        "kind": ("category", False),
        "a.b": ("flag", False),
        "within.x": ("number", False),
    }
    assert by_path["opened"].coerce
    assert "# Left out: raw: it has Parquet's type binary, which is not read" in draft


def labelled(*values: Any, name: str = "is_fraud", **others: Any) -> list[dict[str, Any]]:
    """Messages whose labels are these values in turn."""
    return [
        {"id": f"t{number}", "amount": number + 0.5, name: values[number % len(values)], **others}
        for number in range(12)
    ]


def in_csv(messages: list[dict[str, Any]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, messages[0], lineterminator="\n")
    writer.writeheader()
    writer.writerows(messages)
    return out.getvalue()


@pytest.mark.parametrize(
    "values", [("yes", "no"), ("Y", "N"), ("t", "f"), ("No",), ("1", "0"), (0, "Yes")]
)
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_label_may_be_written_in_words(suffix: str, values: tuple[str, ...]) -> None:
    messages = labelled(*values)
    content = in_csv(messages) if suffix == ".csv" else in_lines(messages)
    draft = drafted(content, suffix)
    field = read(draft.encode(), "draft").fields["is_fraud"]
    assert (field.type, field.role, field.default) == ("flag", "label", False)
    assert 'role = "label", whether' not in draft
    assert faults(content, draft, suffix) == []


def test_what_is_written_as_a_flag_is_one_whatever_its_name() -> None:
    messages = [
        each | {"trusted": "yN"[number % 2], "size": "SM"[number % 2], "kind": "yn?"[number % 3]}
        for number, each in enumerate(labelled(0, 1))
    ]
    fields = read(drafted(in_lines(messages)).encode(), "draft").fields
    assert (fields["trusted"].type, fields["trusted"].coerce) == ("flag", True)
    assert (fields["size"].type, fields["kind"].type) == ("category", "category")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("is_fraud", ("fraud", "genuine")),
        ("target", (1, 2, 3)),
        ("isFraud", ("yes", "no", "unknown")),
        ("fraud_type", ("takeover", "")),
        ("TX_FRAUD_SCENARIO", (0, 1, 2, 3)),
        ("chargeback_amount", (0.0, 12.5)),
        ("is_fraud", (0, 0.5, None)),
    ],
)
def test_what_tells_the_label_is_no_feature_whatever_its_values(
    name: str, values: tuple[Any, ...]
) -> None:
    content = in_lines(labelled(*values, name=name))
    draft = drafted(content)
    definition = read(draft.encode(), "draft")
    assert [*definition.features] == ["log_amount"]
    assert f"give the role label to {name}, as type flag" in draft
    assert "convert its values to true and false" in draft
    assert "[fields.is_fraud], with" not in draft
    assert faults(content, draft, ".jsonl") == []


def test_beside_the_label_no_second_one_is_a_feature() -> None:
    draft = drafted(in_lines(labelled(0, 1, fraud_type="none", isFlaggedFraud=0)))
    definition = read(draft.encode(), "draft")
    assert (definition.role("label"), definition.role("upstream_flag")) == (
        "is_fraud",
        "isFlaggedFraud",
    )
    assert [*definition.features] == ["log_amount"]
    assert "give the role label to" not in draft


def test_without_anything_that_tells_the_label_a_field_is_to_be_added() -> None:
    draft = drafted(in_lines([{"id": "a", "amount": 1.5, "isFlaggedFraud": 1}]))
    assert '# [fields.is_fraud], with type = "flag", role = "label", default = false' in draft


@pytest.mark.parametrize("name", ["mcc", "merchant_mcc", "zipCode", "response_code", "bin", "sic"])
@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
@pytest.mark.parametrize("count", [3, 12])
def test_codes_are_no_numbers_though_they_are_written_as_such(
    name: str, suffix: str, count: int
) -> None:
    messages = labelled(*range(5_411, 5_411 + count), name=name)
    content = in_csv(messages) if suffix == ".csv" else in_lines(messages)
    draft = drafted(content, suffix)
    definition = read(draft.encode(), "draft")
    field = next(
        each for each in definition.fields.values() if each.type != "amount" and not each.role
    )
    assert field.type == ("category" if count == 3 else "text")
    assert not any(each.log == name for each in definition.features.values())
    if count == 3:
        assert {each.value for each in definition.features.values()} >= {"5411", "5413"}
    assert faults(content, draft, suffix) == []


def test_codes_with_gaps_as_pandas_writes_them_are_texts() -> None:
    content = "id,amount,mcc\na,1.5,5411.0\nb,2.5,\nc,3.5,5412.0\n"
    draft = drafted(content, ".csv")
    definition = read(draft.encode(), "draft")
    assert definition.fields["mcc"].type == "text"
    assert [*definition.features] == ["log_amount", "mcc_missing"]
    assert faults(content, draft, ".csv") == []


def test_codes_that_are_floats_have_no_size() -> None:
    content = in_lines(labelled(5411.0, 5412.0, None, name="mcc"))
    draft = drafted(content)
    assert [*read(draft.encode(), "draft").features] == ["log_amount", "mcc_missing"]
    assert faults(content, draft, ".jsonl") == []


@pytest.mark.parametrize("by", ["^", ":", " ", "~", "\x01", " - ", "/", "::"])
def test_a_header_of_one_cell_is_refused_where_something_else_separates(by: str) -> None:
    content = "id,amount,time\na,1.5,1\nb,2.5,2\n".replace(",", by)
    with pytest.raises(UnreadableFile, match="no commas, semicolons, tabs or bars") as caught:
        drafted(content, ".csv")
    assert f"only {by!r}: write one of them instead" in str(caught.value)


@pytest.mark.parametrize("header", ["amount", "tx.amount[0]", "x-amount", '"amount (EUR)"'])
def test_a_header_may_be_one_column(header: str) -> None:
    content = f"{header}\n1.5\n2.5\n"
    assert faults(content, drafted(content, ".csv"), ".csv") == []


def test_a_text_that_is_too_long_for_an_id_is_none() -> None:
    messages = [
        {"transaction_id": f"{number}" * 200, "ref": f"r{number}", "x": 1.5} for number in range(3)
    ]
    fields = read(drafted(in_lines(messages)).encode(), "draft").fields
    assert fields["transaction_id"].path == "ref"
