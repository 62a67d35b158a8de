"""`init` creates what is missing, and nothing twice; it names the server that does not answer."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from data.generator import write_csv
from data.plan import Plan
from fraudapp.cli.provision import prepare_model
from fraudapp.commands import init
from fraudapp.local.processes import free_port
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import load


@pytest.fixture(autouse=True)
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "rows.csv"
    write_csv(Plan(rows=4_000, fraud_rate=0.05, seed=3), file)
    monkeypatch.setenv("FRAUD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FRAUD_TRAINING_FILE", str(file))
    monkeypatch.setenv("FRAUD_MODEL_KIND", "logistic")
    monkeypatch.setenv("FRAUD_START_TIMEOUT", "0.5")


def run(*arguments: str) -> Result:
    return CliRunner().invoke(init.command, arguments)


def test_a_model_is_trained_once() -> None:
    first, second = run("--no-servers"), run("--no-servers")
    assert first.exit_code == second.exit_code == 0
    assert "Training" in first.output
    assert "Training" not in second.output
    assert first.output.splitlines()[-1] == second.output.strip()
    assert second.output.endswith(" is active\n")


def test_several_preparations_at_once_end_with_one_sound_model(tmp_path: Path) -> None:
    settings = load()
    with ThreadPoolExecutor(3) as pool:
        futures = [pool.submit(prepare_model, settings, lambda line: None) for _ in range(3)]
    for future in futures:
        future.result()
    registry = ModelRegistry(tmp_path / "data" / "models")
    assert registry.versions() == [registry.active()]


def test_a_broker_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUD_BROKER_URL", f"kafka://127.0.0.1:{free_port()}")
    result = run("--no-model")
    assert result.exit_code == 1
    assert "Error: FRAUD_BROKER_URL=kafka://127.0.0.1:" in result.output


def test_a_model_that_cannot_be_kept_names_the_folder(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models").touch()
    result = run("--no-servers")
    assert result.exit_code == 1
    assert "see FRAUD_DATA_DIR" in result.output
