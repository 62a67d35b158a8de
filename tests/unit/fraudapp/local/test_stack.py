"""The embedded stack touches no files and no servers but its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fraudapp.config.environment import variables
from fraudapp.local.processes import free_port
from fraudapp.local.stack import Options, run, without_connections
from fraudapp.settings import SECRETS, Settings
from models.schema import presets


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("name", ["local", "faust"])
def test_folders_of_the_user_are_not_removed(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).mkdir()
    (tmp_path / name / "thesis").touch()
    for _ in range(2):
        assert run(Options(tmp_path, broker_port=free_port(), web_port=free_port())) == 1
        assert f"{tmp_path / name} is not from an embedded stack" in capsys.readouterr().err
    assert [each.name for each in tmp_path.rglob("*")] == [name, "thesis"]


def test_servers_of_other_places_are_left_out_and_nothing_else() -> None:
    names = set(variables(Settings))
    names |= {f"{name}_FILE" for name in SECRETS} | {"PATH"}
    left = set(without_connections(dict.fromkeys(names, "x")))
    gone = {name for name in names - left if not name.startswith(("FRAUD_BROKER_", "FRAUD_S3_"))}
    assert gone == {
        *("FRAUD_REDIS_URL", "FRAUD_REDIS_URL_FILE", "FRAUD_REDIS_CA_FILE"),
        *("FRAUD_POSTGRES_URL", "FRAUD_POSTGRES_URL_FILE", "FRAUD_POSTGRES_SSLMODE"),
        *("FRAUD_POSTGRES_CA_FILE", "FRAUD_ARCHIVE_URL", "FRAUD_MODEL_VERSION"),
    }
    assert not [name for name in left if name.startswith(("FRAUD_BROKER_", "FRAUD_S3_"))]
    assert {"PATH", "FRAUD_SCHEMA", "FRAUD_FLAG_AT", "FRAUD_TRAINING_FILE"} <= left
    assert "FRAUD_POSTGRES_DAYS" in left


@pytest.mark.parametrize("by_setting", [True, False])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "there is no such file; presets are cards, pacs008, paysim"),
        ("name = 1", "name"),
        (presets.content("cards").decode().replace('"cards"', '"mybank"'), "has no sample"),
    ],
)
def test_a_schema_that_cannot_serve_is_a_sentence_before_anything_starts(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    content: str | None,
    words: str,
    by_setting: bool,
) -> None:
    schema = tmp_path / "mybank.toml"
    if content is not None:
        schema.write_text(content)
    monkeypatch.delenv("FRAUD_SCHEMA", raising=False)
    if by_setting:
        monkeypatch.setenv("FRAUD_SCHEMA", str(schema))
    ports = {"broker_port": free_port(), "web_port": free_port()}
    options = Options(tmp_path / "d", **ports, schema=None if by_setting else str(schema))
    assert run(options) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("Error: ")
    assert "mybank" in said.err
    assert words in said.err
    assert not (tmp_path / "d" / "local.json").exists()


def test_a_wrong_setting_is_a_sentence_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FRAUD_FLAG_AT", "2")
    assert run(Options(tmp_path / "d", broker_port=free_port(), web_port=free_port())) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "FRAUD_FLAG_AT='2'" in said.err
