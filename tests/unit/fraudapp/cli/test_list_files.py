"""A file of entries is checked as a whole: what is wrong is told with its line."""

from __future__ import annotations

import gzip
from datetime import datetime, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.cli.list_files import InvalidFile, read_entries
from models.control.records import Listed

DEFAULT = Listed(author="a", note="from a file", expires_at=None)
ENDS = datetime(2027, 1, 31, tzinfo=timezone.utc)


def entries(folder: Path, content: str | bytes, default: Listed = DEFAULT) -> dict[str, Listed]:
    file = folder / "entries.txt"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_entries(file, "mules", default)


def problems(folder: Path, content: str | bytes) -> list[str]:
    with pytest.raises(InvalidFile) as raised:
        entries(folder, content)
    assert raised.value.exit_code == 2
    told = [
        each.removeprefix(f"{folder / 'entries.txt'}, ") for each in str(raised.value).split("\n")
    ]
    assert told[-1] == "nothing was written"
    return told[:-1]


def test_each_line_is_an_entry_and_blank_ones_are_none(tmp_path: Path) -> None:
    found = entries(tmp_path, "C1\n\n  C,2 \r\nC1\nvalues\n")
    assert found == {"C1": DEFAULT, "C,2": DEFAULT, "values": DEFAULT}
    assert found["C1"] is DEFAULT  # a million of them take no more memory
    assert entries(tmp_path, "") == {}


def test_a_packed_file_is_unpacked(tmp_path: Path) -> None:
    assert [*entries(tmp_path, gzip.compress(b"\nC1\nC2"))] == ["C1", "C2"]


def test_columns_say_notes_and_expiries(tmp_path: Path) -> None:
    text = 'expires_at\nvalue,expires_at,note\nC1,2027-01-31T00:00:00Z,"one, two"\nC2,,\n'
    assert next(iter(entries(tmp_path, text))) == "expires_at"  # no header
    found = entries(tmp_path, text.partition("\n")[2])
    assert found == {"C1": Listed(author="a", note="one, two", expires_at=ENDS), "C2": DEFAULT}
    ends = Listed(author="a", expires_at=ENDS)
    assert entries(tmp_path, "value,note\nC1,n\n", ends)["C1"].expires_at == ENDS
    assert entries(tmp_path, "value\nC1\n") == {"C1": DEFAULT}


@pytest.mark.parametrize("header", ["account,reason", "Value, Note", "value,note,note", "a,b,c"])
def test_a_header_that_is_none_of_ours_is_no_entry(tmp_path: Path, header: str) -> None:
    with pytest.raises(InvalidFile, match=r"line 2: .* looks like the header.*Nothing was written"):
        entries(tmp_path, f"\n{header}\nA,x\n")


def test_a_comment_is_no_entry(tmp_path: Path) -> None:
    assert problems(tmp_path, "C1\n# mules of May\n") == [
        "line 2: it begins with #, and comments are not read: remove it"
    ]


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("C1", "line 3: it has 1 cells where the header has 3"),
        (",n,", "line 3: list mules: an entry has 1 to"),
        ('"C1,n,', "line 3: not valid CSV: a quote does not end on its line"),
        ("C1,n,2027-01-31", "line 3: expires_at '2027-01-31' is no time with an offset"),
        ("C1,n,2027-01-31T00:00:00", "is no time with an offset"),
        (f"C1,{'n' * 1_001},", "line 3: its note has 1,001 characters; at most 1,000 fit"),
        ("C1,\x07,", "line 3: its note must not hold U+0007"),
        ("C\x1b1,n,", r"line 3: list mules: entry 'C\x1b1' must not hold U+001B"),
    ],
)
def test_a_row_that_is_none_is_told_with_its_line(tmp_path: Path, row: str, told: str) -> None:
    (problem,) = problems(tmp_path, f"value,note,expires_at\nC0,,\n{row}\nC2,,\n")
    assert told in problem


def test_text_that_is_not_utf_8_is_told_with_its_line(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path, b"C1\nC\xff\n")
    assert problem.startswith("line 2: ")


def test_fifty_problems_are_told_and_the_others_counted(tmp_path: Path) -> None:
    told = problems(tmp_path, "ok\n" + "\x07\n" * 1_234)
    assert len(told) == 51
    assert told[0].startswith("line 2: ")
    assert told[-1] == "and 1,184 more"


def test_a_file_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="absent cannot be read: No such file"):
        read_entries(tmp_path / "absent", "mules", DEFAULT)


values_ = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20)


@given(st.lists(values_.filter(lambda value: value[0] != "#")))
def test_all_entries_are_found_as_they_are(
    tmp_path_factory: pytest.TempPathFactory, values: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("entries")
    assert [*entries(folder, "\n".join(["first", *values]))] == [*dict.fromkeys(["first", *values])]
