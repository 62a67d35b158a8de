"""What a stack says to its user can be done as it stands."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from fraudapp.local.welcome import EXAMPLE, example_message, welcome
from models.schema import presets
from models.schema.schema import PAYSIM, Schema, load, preset


def own(path: Path, name: str, more: bytes = b"") -> Schema:
    """A schema of one's own, begun with a preset."""
    content = presets.content("cards").replace(b'"cards"', f'"{name}"'.encode())
    path.write_bytes(content.replace(b"[fields.amount]", b"[fields.amount]" + more))
    return load(path)


@pytest.fixture(params=[*presets.names(), "copied", "moved", "renamed"])
def schema(request: pytest.FixtureRequest, tmp_path: Path) -> Schema:
    path = tmp_path / "own.toml"
    if request.param == "copied":
        return own(path, "cards")
    if request.param == "moved":
        return own(path, "cards", b'\npath = "it\'s.far"')
    return own(path, "mybank") if request.param == "renamed" else preset(request.param)


def test_the_example_is_valid_and_its_decision_is_asked_for(schema: Schema) -> None:
    text = welcome("Ready.", schema, 8123, Path("here"))
    (send,) = (line for line in text.splitlines() if "faust -A" in line)
    *command, message = shlex.split(send)
    assert command == ["faust", "-A", "fraudapp.app", "send", "transactions"]
    assert schema.parser.parse(message.encode()).transaction_id == "demo1"
    assert 'curl "http://localhost:8123/transaction/demo1/status?wait_seconds=5"' in text
    assert text.startswith("\nReady. Ctrl-C stops everything.\n")


def test_the_example_of_paysim_is_as_ever() -> None:
    assert example_message(PAYSIM) == EXAMPLE
    assert f"'{EXAMPLE}'" in welcome("Ready.", PAYSIM, 8000, Path("here"))


def test_a_copied_preset_has_the_example_of_the_preset(tmp_path: Path) -> None:
    assert example_message(own(tmp_path / "own.toml", "cards")) == example_message(preset("cards"))
