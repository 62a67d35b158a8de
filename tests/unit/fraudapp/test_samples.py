"""What a first model is trained on: the configured file, the schema's sample, or a sentence."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import data
from fraudapp.commands import init, train
from fraudapp.first_model import ready_scorer
from fraudapp.samples import sample, training_file
from fraudapp.settings import Settings, load
from models.errors import TrainingDataError
from models.schema import presets

NO_SAMPLE = re.escape(
    "schema mybank has no sample to train a first model on; name a labelled file of yours with "
    "FRAUD_TRAINING_FILE, or train with `fraudapp train FILE`"
)


@pytest.fixture
def mybank(tmp_path: Path) -> Path:
    """A schema of one's own."""
    path = tmp_path / "mybank.toml"
    path.write_bytes(presets.content("cards").replace(b'name = "cards"', b'name = "mybank"'))
    return path


def settings_of(data_dir: Path, schema: object, **others: str) -> Settings:
    return load({"FRAUD_DATA_DIR": str(data_dir), "FRAUD_SCHEMA": str(schema), **others})


def test_a_preset_has_a_sample_and_a_configured_file_goes_before_it(tmp_path: Path) -> None:
    assert training_file(settings_of(tmp_path / "d", "paysim")) == data.sample_path()
    assert not (tmp_path / "d").exists()
    (tmp_path / "d" / "samples").mkdir(parents=True)
    (tmp_path / "d" / "samples" / "cards.jsonl").touch()
    settings = settings_of(tmp_path / "d", "cards")
    assert training_file(settings) == sample(settings) == tmp_path / "d/samples/cards.jsonl"
    given = settings_of(tmp_path / "d", "cards", FRAUD_TRAINING_FILE="mine.csv")
    assert training_file(given) == Path("mine.csv")


def test_a_schema_of_ones_own_has_none_and_every_command_says_so(
    mybank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(TrainingDataError, match=NO_SAMPLE):
        ready_scorer(settings_of(tmp_path / "d", mybank), lambda line: None)
    monkeypatch.setenv("FRAUD_DATA_DIR", str(tmp_path / "d"))
    monkeypatch.setenv("FRAUD_SCHEMA", str(mybank))
    commands: list[tuple[click.Command, list[str]]] = [
        (train.command, []),
        (init.command, ["--no-servers"]),
    ]
    for command, arguments in commands:
        done = CliRunner().invoke(command, arguments)
        assert done.exit_code == 1
        assert isinstance(done.exception, SystemExit)
        assert re.fullmatch(f"Error: {NO_SAMPLE}\n", done.output)


def test_a_sample_that_does_not_fit_names_itself_and_the_setting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tmp_path / "cards.toml"
    moved = presets.content("cards").replace(b"[fields.amount]", b'[fields.amount]\npath = "a.b"')
    own.write_bytes(moved)
    kept = tmp_path / "d" / "samples" / "cards.jsonl"
    kept.parent.mkdir(parents=True)
    row = '{"transaction_id":"a","at":"2025-01-01T00:00:00Z","customer_id":"c","amount":1.0,'
    kept.write_text(f'{row}"terminal_id":"t","is_fraud":0}}\n')
    words = (
        rf"{re.escape(str(kept))}.* amount: .*\. This file is the sample for preset cards, whose "
        "name your schema has: name a labelled file of yours with FRAUD_TRAINING_FILE"
    )
    with pytest.raises(TrainingDataError, match=words):
        ready_scorer(settings_of(tmp_path / "d", own), lambda line: None)
    monkeypatch.setenv("FRAUD_DATA_DIR", str(tmp_path / "d"))
    monkeypatch.setenv("FRAUD_SCHEMA", str(own))
    done = CliRunner().invoke(train.command, [])
    assert done.exit_code == 1
    assert re.search(words, done.output)
    mine = tmp_path / "mine.jsonl"
    mine.write_bytes(kept.read_bytes())
    done = CliRunner().invoke(train.command, [str(mine)])
    assert done.exit_code == 1
    assert "mine.jsonl" in done.output
    assert "FRAUD_TRAINING_FILE" not in done.output
    done = CliRunner().invoke(train.command, [str(data.sample_path())])
    assert done.exit_code == 1
    assert "transactions.csv" in done.output
    assert "FRAUD_TRAINING_FILE" not in done.output


def test_a_data_folder_without_room_for_the_sample_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("data.sample", full)
    with pytest.raises(TrainingDataError, match=r"FRAUD_DATA_DIR=.*: No space left on device"):
        training_file(settings_of(tmp_path, "cards"))
