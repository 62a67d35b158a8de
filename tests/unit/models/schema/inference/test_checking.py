"""A sample is checked message by message as it would be published; faults have line and field."""

from __future__ import annotations

import bz2
import codecs
import gzip
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from fraudapp.cli.transaction_files import read_file
from models.files.lines import UnreadableFile
from models.schema.inference.checking import check
from models.schema.reading import read
from models.schema.schema import Schema, preset

VALID = '{"transaction_id": "a", "at": "2026-01-02T03:04:05Z", "customer_id": "c", '
VALID += '"terminal_id": "t", "amount": 1.5}'
NESTED = Schema(
    read(
        b"""
name = "nested"
[fields.transaction_id]
type = "text"
role = "id"
path = "head.id"
[fields.amount]
type = "amount"
path = "list[0].amt"
columns = ["AMOUNT"]
[fields.trusted]
type = "flag"
optional = true
path = "trusted[0]"
[features]
log_amount = {log = "amount"}
""",
        "nested.toml",
    )
)


def faults(schema: Schema, path: Path) -> list[str | None]:
    """What is wrong with each message, without the name of the file."""
    found = check(schema, path)
    return [each and each.sentence(path).removeprefix(f"{path}, ") for each in found]


def test_each_message_is_valid_or_has_its_line_and_all_its_fields(tmp_path: Path) -> None:
    path = tmp_path / "sample.jsonl"
    bad = VALID.replace("1.5", "-1").replace('"c"', "[]")
    path.write_text(f"{VALID}\n\n{bad}\nno json\n{VALID}\n[]")
    found = faults(preset("cards"), path)
    assert found[0] is found[3] is None
    assert found[1] is not None
    assert found[1].startswith("line 3, row 2: customer_id: ")
    assert "; amount: " in found[1]
    assert found[2] is not None
    assert found[2].startswith("line 4, row 3: not valid JSON")
    assert found[4] == "line 6, row 5: must be a JSON object, got an array"


@pytest.mark.parametrize(
    "encode",
    [
        str.encode,
        lambda text: codecs.BOM_UTF8 + text.encode(),
        lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
        lambda text: gzip.compress(text.encode()),
        lambda text: bz2.compress(text.encode()),
    ],
)
def test_samples_are_read_in_any_encoding_packed_or_not(
    tmp_path: Path, encode: Callable[[str], bytes]
) -> None:
    path = tmp_path / "sample"
    path.write_bytes(encode(VALID.replace('"c"', '"ç"')))
    assert faults(preset("cards"), path) == [None]


def test_bytes_that_are_no_utf_8_are_a_fault_of_their_line(tmp_path: Path) -> None:
    path = tmp_path / "sample.jsonl"
    path.write_bytes(VALID.replace('"c"', '"\xe7"').encode("latin-1") + b"\n" + VALID.encode())
    first, second = faults(preset("cards"), path)
    assert first is not None
    assert first.startswith("line 1, row 1: ")
    assert second is None


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_a_column_is_named_as_a_field_or_by_its_path(tmp_path: Path, separator: str) -> None:
    path = tmp_path / "rows.csv"
    text = "AMOUNT,trusted[0],head.id\n5,true,x\n7.5,,\n-1,non,y\n"
    path.write_text(text.replace(",", separator))
    first, second, third = faults(NESTED, path)
    assert first is second is None
    assert third == "line 4, row 3: trusted: 'non' is not a flag: write 1 or 0"
    path.write_text(text.replace("non", "1").replace(",", separator))
    assert "line 4, row 3: amount: " in str(faults(NESTED, path)[2])


def test_a_row_of_another_length_is_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text('amount\n5\n6,7\n"8\n')
    assert faults(NESTED, path) == [
        None,
        "line 3, row 2: has 2 cells where the header has 1",
        "line 4, row 3: not valid CSV: a quote does not end on its line",
    ]


@pytest.mark.parametrize("end", ["", "\n"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_what_check_says_of_a_file_publish_does_too(
    tmp_path: Path, separator: str, end: str
) -> None:
    path = tmp_path / "rows.csv"
    rows = ["trusted,amount,note", "true,5,", "1.0,6,x", "FALSE,1e3,", "2,5,", ",x,", "1,1", ",-1,"]
    path.write_text("\n".join(rows).replace(",", separator) + end)
    published = [*read_file(path, "row", NESTED)]
    checked = [*check(NESTED, path)]
    assert [each is None for each in checked] == [True] * 3 + [False] * 4
    for one, other in zip(checked, published, strict=True):
        assert (one and one.sentence(path)) == (None if other in published[:3] else str(other))


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", "", "a.jsonl is empty"),
        ("a.json", '[{"id": "a"}]', "is one JSON array"),
        ("a.csv", "amount,amount\n1,2\n", "column amount is there twice"),
        ("a.csv", "amount,list[0].amt\n1,2\n", "column amount is there twice"),
        ("a.csv", "amt\n1\n", "column amount is missing"),
        ("a.xlsx", "\xd0\xcf\x11\xe0", "a spreadsheet"),
    ],
)
def test_a_file_that_is_no_sample_is_refused(
    tmp_path: Path, name: str, content: str, words: str
) -> None:
    path = tmp_path / name
    path.write_text(content, encoding="latin-1")
    with pytest.raises(UnreadableFile, match=re.escape(words)):
        faults(NESTED, path)


def test_a_missing_file_is_refused_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"absent\.csv cannot be read: No such file"):
        faults(NESTED, tmp_path / "absent.csv")
