"""A stack is sent the sample of its schema, or what its models are trained on, if that fits."""

from __future__ import annotations

from pathlib import Path

import pytest

import data
from fraudapp.local.replay import replayed, sending
from fraudapp.settings import Settings, load
from models.schema import presets

ROW = (
    '{"transaction_id":"a","at":"2025-01-01T00:00:00Z","customer_id":"c","terminal_id":"t",'
    '"amount":1.0,"is_fraud":0}\n'
)
MOVED = ROW.replace('"amount":1.0', '"a":{"b":1.0}')


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """The sample of cards, as it was made before."""
    path = tmp_path / "d" / "samples" / "cards.jsonl"
    path.parent.mkdir(parents=True)
    path.write_text(ROW)
    return path


def settings_of(folder: Path, schema: str, content: str | None = None) -> Settings:
    given = {"FRAUD_DATA_DIR": str(folder / "d"), "FRAUD_SCHEMA": schema}
    if content is not None:
        (folder / "mine.jsonl").write_text(content)
        given["FRAUD_TRAINING_FILE"] = str(folder / "mine.jsonl")
    return load(given)


def schema(path: Path, name: str, *, moved: bool) -> str:
    content = presets.content("cards").replace(b'"cards"', f'"{name}"'.encode())
    if moved:
        content = content.replace(b"[fields.amount]", b'[fields.amount]\npath = "a.b"')
    path.write_bytes(content)
    return str(path)


def test_a_preset_is_sent_its_sample_whatever_it_is_trained_on(tmp_path: Path, kept: Path) -> None:
    for content in (None, ROW):
        assert replayed(settings_of(tmp_path, "cards", content)) == kept
        assert replayed(settings_of(tmp_path, "paysim", content)) == data.sample_path()


@pytest.mark.parametrize("name", ["cards", "mybank"])
def test_another_schema_is_sent_its_training_file(tmp_path: Path, kept: Path, name: str) -> None:
    own = schema(tmp_path / "own.toml", name, moved=True)
    settings = settings_of(tmp_path, own, MOVED)
    assert replayed(settings) == tmp_path / "mine.jsonl"
    assert sending(tmp_path / "mine.jsonl", 50.0, settings) == "; mine.jsonl goes in at 50/s"


@pytest.mark.parametrize("content", [None, "", "no row\n", ROW])
def test_what_does_not_fit_is_not_sent_and_that_is_said(
    tmp_path: Path, kept: Path, content: str | None
) -> None:
    own = schema(tmp_path / "own.toml", "mybank", moved=True)
    settings = settings_of(tmp_path, own, content)
    assert replayed(settings) is None
    assert sending(None, 50.0, settings) == "; schema mybank has no sample, so none goes in"


def test_a_rate_of_zero_needs_no_words(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "paysim")
    assert sending(None, 0.0, settings) == ""
    assert sending(data.sample_path(), 200.0, settings) == "; a sample goes in at 200/s"
