"""Reading a file gives its transactions, or says which row is wrong and why."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.cli.transaction_files import InvalidRow, read_file
from models.files.rows import UnreadableFile
from models.records import Transaction
from tests.support.transactions import transaction, transactions

HEADER = (
    "step,type,amount,nameOrig,oldbalanceOrg,newbalanceOrig,"
    "nameDest,oldbalanceDest,newbalanceDest,isFraud,isFlaggedFraud"
)
ROW = "1,TRANSFER,250000.0,C1,0.0,0.0,C2,0.0,0.0,0,0"


def rows(path: Path, text: str) -> list[Transaction | InvalidRow]:
    path.write_text(text, encoding="utf-8")
    return list(read_file(path, "p"))


def test_rows_without_id_are_named_by_their_number(tmp_path: Path) -> None:
    assert rows(tmp_path / "a.csv", f"{HEADER}\n{ROW}\n{ROW}\n") == [
        transaction("p-1"),
        transaction("p-2"),
    ]


def test_an_id_in_the_file_is_kept(tmp_path: Path) -> None:
    text = f"transaction_id,{HEADER}\nmine,{ROW}\n"
    assert rows(tmp_path / "a.csv", text) == [transaction("mine")]


def test_a_byte_order_mark_and_labels_as_floats_are_read(tmp_path: Path) -> None:
    text = f"\ufeff{HEADER}\r\n{ROW[:-3]}1.0,0.0\r\n"
    assert rows(tmp_path / "a.CSV", text) == [transaction("p-1", isFraud=1)]


def test_a_wrong_row_is_reported_and_its_neighbours_are_read(tmp_path: Path) -> None:
    for wrong in ("1,000", "1_000", "NaN", "", "\uff11\uff10", "inf"):
        bad = ROW.replace("250000.0", f'"{wrong}"')
        first, second, third = rows(tmp_path / "a.csv", f"{HEADER}\n{ROW}\n{bad}\n{ROW}\n")
        assert first == transaction("p-1")
        assert third == transaction("p-3")
        assert isinstance(second, InvalidRow)
        assert "row 2: amount: " in str(second)


def test_a_missing_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFile, match=r"a\.csv: column amount is missing; needed are "):
        rows(tmp_path / "a.csv", f"{HEADER.replace(',amount', '')}\n1,TRANSFER,C1,0,0,C2,0,0\n")


def test_an_empty_file_has_no_rows(tmp_path: Path) -> None:
    assert rows(tmp_path / "a.csv", "") == rows(tmp_path / "a.jsonl", "") == []


@given(st.lists(transactions, max_size=5))
def test_json_lines_are_read_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, batch: list[Transaction]
) -> None:
    path = tmp_path_factory.mktemp("lines") / "lines.jsonl"
    path.write_bytes(b"\n".join(map(msgspec.json.encode, batch)) + b"\n\n")
    assert list(read_file(path, "p")) == batch


def test_a_wrong_line_is_reported(tmp_path: Path) -> None:
    first, second = rows(tmp_path / "a.jsonl", '{"x":\n[1]\n')
    assert "row 1: not valid JSON" in str(first)
    assert "row 2: must be a JSON object" in str(second)


def test_what_no_reader_expects_is_a_wrong_row(tmp_path: Path) -> None:
    nested = ROW.replace("250000.0", "[" * 5_000)
    long = ROW.replace("C1", "C" * 200_000)
    first, second, third = rows(tmp_path / "a.csv", f"{HEADER}\n{nested}\n{long}\n{ROW}\n")
    assert "row 1: amount: " in str(first)
    assert "row 2: " in str(second)
    assert third == transaction("p-3")
    path = tmp_path / "latin.csv"
    path.write_bytes(f"{HEADER}\n{ROW}\n".replace("C1", "Müller").encode("latin-1"))
    (row,) = read_file(path, "p")
    assert "line 2, row 1: is not UTF-8" in str(row)
