"""What a schema lets be written in another way is read in that way, and nothing else."""

from __future__ import annotations

import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from fraudapp.cli.transaction_files import InvalidRow, read_file
from models.errors import TrainingDataError
from models.parsing import InvalidTransaction
from models.schema import presets
from models.schema.coercion import FLAGS
from models.schema.reading import read
from models.schema.schema import Schema, preset
from models.training.dataset import labelled

SCHEMA = Schema(
    read(
        b"""
name = "loose"
[fields.transaction_id]
type = "text"
role = "id"
coerce = true
[fields.amount]
type = "amount"
coerce = true
[fields.paid]
type = "flag"
coerce = true
[fields.at]
type = "time"
format = "iso8601"
coerce = true
[fields.late]
type = "time"
format = "iso8601"
default = "2020-01-01T00:00:00Z"
[features]
log_amount = { log = "amount" }
hour = { hour_of_day = "late" }
""",
        "loose.toml",
    )
)
GOOD: dict[str, Any] = {
    "transaction_id": 7,
    "amount": "12.50",
    "paid": "TRUE",
    "at": "2026-01-02T03:04:05",
}


def both(tmp_path: Path, message: dict[str, Any]) -> list[Any]:
    """The message as from the topic, and as from a file; None where it is refused."""
    line = json.dumps(message)
    path = tmp_path / "a.jsonl"
    path.write_text(line + "\n")
    (row,) = read_file(path, "x", SCHEMA)
    try:
        parsed = SCHEMA.parser.parse(line.encode())
    except InvalidTransaction:
        parsed = None
    return [parsed, None if isinstance(row, InvalidRow) else row]


def test_topic_and_file_read_the_same(tmp_path: Path) -> None:
    one, other = both(tmp_path, GOOD)
    assert one == other
    assert (one.transaction_id, one.amount, one.paid) == ("7", 12.5, True)
    assert one.at == datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
    assert SCHEMA.features.matrix([one, one]).shape == (2, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {"paid": [1]},
        {"paid": {}},
        {"paid": 1.0},
        {"paid": 2},
        {"paid": None},
        {"transaction_id": ["a"]},
        {"transaction_id": 1.5},
        {"transaction_id": True},
        {"amount": "\u0661\u0662"},
        {"amount": "1,5"},
        {"amount": "-1"},
        {"at": "yesterday"},
        {"at": 5},
    ],
)
def test_topic_and_file_refuse_the_same(tmp_path: Path, wrong: dict[str, Any]) -> None:
    assert both(tmp_path, GOOD | wrong) == [None, None]


@pytest.mark.parametrize("name", presets.names())
def test_the_examples_of_each_preset_are_read_from_a_file(name: str) -> None:
    path = Path(presets.__file__).parent / "examples" / f"{name}.jsonl"
    found = list(read_file(path, "x", preset(name)))
    lines = path.read_bytes().splitlines()
    assert found == [preset(name).parser.parse(line) for line in lines]


@pytest.mark.parametrize("written", [*FLAGS, "TRUE", "False", "Yes", "N", "on", "2", "01"])
@pytest.mark.parametrize("coerce", ["true", "false"])
@pytest.mark.parametrize("form", ["boolean", "0/1"])
def test_a_flag_in_a_file_is_the_same_for_training_and_for_publishing(
    tmp_path: Path, form: str, coerce: str, written: str
) -> None:
    flag = f'type = "flag"\nform = "{form}"\ncoerce = {coerce}'
    fields = f'[fields.fraud]\nrole = "label"\n{flag}\n[fields.late]\n{flag}\n'
    head = 'name = "flags"\n[fields.transaction_id]\ntype = "text"\nrole = "id"\n'
    schema = Schema(
        read(f'{head}{fields}[features]\nlate = {{ one_hot = "late" }}'.encode(), "flags.toml")
    )
    path = tmp_path / "a.csv"
    path.write_text(f"fraud,late\n{written},{written}\n")
    (published,) = read_file(path, "x", schema)
    is_written = form == "boolean" or coerce == "true" or written in ("0", "1", "0.0", "1.0")
    expected = FLAGS.get(written.lower()) if is_written else None
    if expected is None:
        assert isinstance(published, InvalidRow)
        with pytest.raises(TrainingDataError):
            labelled(path, schema=schema)
    else:
        assert not isinstance(published, InvalidRow)
        assert published.late == expected
        assert labelled(path, schema=schema).fraud.tolist() == [expected]


@pytest.mark.parametrize("written", [True, "Yes", "Y", "t", "1.0"])
def test_flags_in_words_are_read_from_topic_and_file(tmp_path: Path, written: Any) -> None:
    one, other = both(tmp_path, GOOD | {"paid": written})
    assert one == other
    assert one.paid is True
    opposite = {True: False, "Yes": "NO", "Y": "n", "t": "F", "1.0": "0.0"}[written]
    one, other = both(tmp_path, GOOD | {"paid": opposite})
    assert one == other
    assert one.paid is False
