"""Files of credit transfers are the same everywhere, and are made by a command."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Final

import pytest

from data.pacs008.__main__ import main
from data.pacs008.generator import generate, write_json_lines
from data.pacs008.plan import Plan
from models.schema.schema import preset
from models.training.train import train

DIGEST: Final = "daa726a8b7b2c458fed8b12746106d07ee84f357399ae553ccc30c3877cee696"
"""SHA-256 of a file; it changes with the recipe, and with the random numbers of NumPy."""


def test_a_file_is_the_same_on_any_machine_and_reads_back(tmp_path: Path) -> None:
    plan, path = Plan(rows=2_000, days=14), tmp_path / "rows.jsonl"
    assert write_json_lines(plan, path) == 2_000
    assert hashlib.sha256(path.read_bytes()).hexdigest() == DIGEST
    kept = [json.loads(line) for line in path.read_text().splitlines()]
    assert kept == [each.content for each in generate(plan)]


def test_the_command_writes_what_it_is_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, same = tmp_path / "rows.jsonl", tmp_path / "same.jsonl"
    options = ["--rows=200", "--days=3", "--start=2024-02-29", "--seed=5", "--fraud-rate=0.1"]
    with pytest.raises(SystemExit) as ended:
        main([*options, f"--out={path}"])
    assert ended.value.code == 0
    assert capsys.readouterr().err == f"200 rows written to {path}\n"
    text = path.read_text()
    assert "2024-02-29T" in text
    assert "2024-03-03T" not in text
    assert text.count('"is_fraud": 1') == 20
    with pytest.raises(SystemExit):
        main([*options, f"--out={same}"])
    assert same.read_text() == text


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--out=no/such/folder/a.jsonl"], "No such file or directory; name a file"),
        (["--out=a.jsonl", "--days=0"], "days=0 is not in 1.."),
        (["--out=a.jsonl", "--rows=-1"], "rows=-1 is not in 0.."),
        (["--out=a.jsonl", "--seed=-1"], "seed=-1 is negative"),
        (["--out=a.jsonl", "--fraud-rate=2"], "fraud_rate=2.0 is not a share"),
        (["--out=a.jsonl", "--start=29.2.2024"], "'29.2.2024' is not a day such as"),
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


@pytest.mark.slow
def test_a_model_finds_part_of_the_fraud(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    write_json_lines(Plan(), path)
    found = train(path, schema=preset("pacs008")).metrics["average_precision"]
    assert 0.4 < found < 0.8
