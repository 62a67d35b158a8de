"""Files of card transactions read back, are the same everywhere, and are made by a command."""

from __future__ import annotations

import csv
import hashlib
import json
import re
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path
from typing import Final

import pytest

from data.cards.__main__ import main
from data.cards.generator import COLUMNS, generate, write_csv, write_json_lines
from data.cards.plan import Plan

COMPROMISED = Plan(
    customers=100, terminals=60, days=10, radius=30.0, customer_share=Fraction(1, 50)
)
DIGEST: Final = "ff5dd49c7dc94facc50e56d28f772a1d65991211b77785c8c9e93a4602ef9732"
"""SHA-256 of a file; it changes with the recipe, and with the random numbers of NumPy."""


def test_a_file_is_the_same_on_any_machine(tmp_path: Path) -> None:
    write_csv(Plan.for_rows(5_000, 30), tmp_path / "rows.csv")
    digest = hashlib.sha256((tmp_path / "rows.csv").read_bytes()).hexdigest()
    assert digest == DIGEST


def test_a_csv_file_reads_back(tmp_path: Path) -> None:
    count = write_csv(COMPROMISED, tmp_path / "rows.csv")
    with (tmp_path / "rows.csv").open(encoding="utf-8", newline="") as file:
        header, *kept = csv.reader(file)
    rows = list(generate(COMPROMISED))
    assert header == ["transaction_id", "at", "customer_id", "terminal_id", "amount", "is_fraud"]
    assert count == len(kept) == len(rows) > 1_000
    for line, row in zip(kept, rows, strict=True):
        assert re.fullmatch(r"\d+\.\d\d", line[4])
        assert line[5] in ("0", "1")
        assert (time_of(line[1]), float(line[4]), line[5] == "1") == (row.at, *row[4:6])
        assert [line[0], *line[2:4]] == [row.transaction_id, row.customer_id, row.terminal_id]


def test_json_lines_read_back(tmp_path: Path) -> None:
    count = write_json_lines(COMPROMISED, tmp_path / "rows.jsonl")
    kept = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    rows = list(generate(COMPROMISED))
    assert count == len(kept) == len(rows)
    for fields, row in zip(kept, rows, strict=True):
        fields["at"] = time_of(fields["at"])
        assert fields == dict(zip(COLUMNS, row, strict=False))
        assert fields["is_fraud"] in (True, False)
        assert isinstance(fields["is_fraud"], bool)


def time_of(text: str) -> datetime:
    naive = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ")
    return naive.replace(tzinfo=timezone.utc)


@pytest.mark.parametrize(("name", "first"), [("a.csv", "transaction_id"), ("a.JSONL", "{")])
def test_the_command_writes_what_the_suffix_says(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, first: str
) -> None:
    path = tmp_path / name
    with pytest.raises(SystemExit) as ended:
        main(["--rows=200", "--days=3", "--start=2024-02-29", "--seed=5", f"--out={path}"])
    assert ended.value.code == 0
    text = path.read_text()
    assert text.startswith(first)
    assert "2024-02-29T" in text
    assert "2024-03-03T" not in text
    count = len(list(generate(Plan.for_rows(200, 3, seed=5))))
    assert capsys.readouterr().err == f"{count} rows written to {path}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out=rows.txt"], "must end in one of .csv"),
        (["--out=no/such/folder/a.csv"], "No such file or directory; name a file"),
        (["--out=a.csv", "--days=-1"], "days=-1 is not in 0.."),
        (["--out=a.csv", "--rows=-1"], "rows=-1 is negative"),
        (["--out=a.csv", f"--rows={10**400}"], "use more days"),
        (["--out=a.csv", "--seed=-1"], "seed=-1 is negative"),
        (["--out=a.csv", "--start=29.2.2024"], "'29.2.2024' is not a day such as"),
        (["--out=a.csv", "--start=9999-12-31"], "what the calendar has left"),
    ],
)
def test_the_command_says_what_is_wrong(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_no_days_and_no_customers_make_an_empty_file(tmp_path: Path) -> None:
    for plan in (Plan(days=0), Plan(customers=0), Plan(terminals=0), Plan.for_rows(0)):
        assert write_csv(plan, tmp_path / "rows.csv") == 0
        assert (tmp_path / "rows.csv").read_text() == ",".join(COLUMNS) + "\n"
        assert write_json_lines(plan, tmp_path / "rows.jsonl") == 0
        assert (tmp_path / "rows.jsonl").read_bytes() == b""
