"""`train` and `evaluate` tell of honest mistakes in the data, and go on."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result

from data.cards.generator import write_csv as write_cards
from data.cards.plan import Plan as CardsPlan
from data.generator import write_csv
from data.plan import Plan
from fraudapp.commands import evaluate, train
from fraudapp.first_model import train_and_activate
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import load

pytestmark = pytest.mark.slow

Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    path = tmp_path_factory.mktemp("sound") / "rows.csv"
    write_csv(Plan(rows=6_000, fraud_rate=0.05, seed=3), path)
    frame: pd.DataFrame = pd.read_csv(path)
    return frame


@pytest.fixture(autouse=True)
def own_data_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUD_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("FRAUD_MODEL_KIND", "logistic")


def trained(frame: pd.DataFrame, tmp_path: Path) -> Result:
    frame.to_csv(tmp_path / "rows.csv", index=False)
    done = CliRunner().invoke(train.command, [str(tmp_path / "rows.csv")])
    assert done.exit_code == 0, done.output
    return done


def evaluated(file: Path) -> Result:
    out = file.parent / "out"
    done = CliRunner().invoke(evaluate.command, [str(file), "--no-plots", "--out", str(out)])
    assert done.exit_code == 0, done.output
    report = json.loads((out / "evaluation.json").read_text())
    assert [f"Warning: {each}" for each in report["warnings"]] == done.stderr.splitlines()
    return done


def card_warnings(tmp_path: Path) -> list[str]:
    registry = ModelRegistry(tmp_path / "data" / "models")
    (version,) = registry.versions()
    found: list[str] = registry.card(version).training["warnings"]
    return found


MISTAKES: dict[str, tuple[Change, str]] = {
    "inverted labels": (lambda rows: rows.assign(isFraud=1 - rows.isFraud), "are labelled as fra"),
    "cents": (lambda rows: rows.assign(amount=rows.amount * 100), "amount is exactly 100 times"),
    "rows twice": (lambda rows: pd.concat([rows, rows.iloc[:1_000]]), "are equal to another"),
    "ids twice": (
        lambda rows: rows.assign(transaction_id=[f"t{n // 2}" for n in range(len(rows))]),
        "have an id that another row has",
    ),
    "one value": (lambda rows: rows.assign(oldbalanceDest=7), "oldbalanceDest is 7.0 in every"),
    "a column twice": (
        lambda rows: rows.assign(oldbalanceDest=rows.oldbalanceOrg),
        "oldbalanceOrg and oldbalanceDest are equal in every row",
    ),
    "the label in a field": (
        lambda rows: rows.assign(oldbalanceDest=rows.isFraud * 50),
        "alone tells fraud from all else",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_training_tells_it_and_the_card_keeps_it(
    sound: pd.DataFrame, tmp_path: Path, mistake: str
) -> None:
    change, words = MISTAKES[mistake]
    done = trained(change(sound), tmp_path)
    lines = done.stderr.splitlines()
    assert lines
    assert all(line.startswith("Warning: ") for line in lines)
    assert words in lines[0]
    assert [f"Warning: {each}" for each in card_warnings(tmp_path)] == lines


@pytest.mark.parametrize("mistake", ["inverted labels", "cents", "rows twice", "ids twice"])
def test_an_evaluation_tells_it_and_the_report_keeps_it(
    sound: pd.DataFrame, tmp_path: Path, mistake: str
) -> None:
    change, words = MISTAKES[mistake]
    trained(sound, tmp_path)
    write_csv(Plan(rows=4_000, fraud_rate=0.05, seed=4), tmp_path / "later.csv")
    assert evaluated(tmp_path / "later.csv").stderr == ""
    change(pd.read_csv(tmp_path / "later.csv")).to_csv(tmp_path / "other.csv", index=False)
    assert words in evaluated(tmp_path / "other.csv").stderr


def test_sound_data_say_nothing(sound: pd.DataFrame, tmp_path: Path) -> None:
    assert trained(sound, tmp_path).stderr == ""
    assert card_warnings(tmp_path) == []


def test_an_evaluation_on_the_training_data_is_told(sound: pd.DataFrame, tmp_path: Path) -> None:
    trained(sound, tmp_path)
    assert "trained on this very file" in evaluated(tmp_path / "rows.csv").stderr
    part = sound.sample(frac=0.3, random_state=1)
    part.to_csv(tmp_path / "part.csv", index=False)
    assert "trained on about 100% of these rows" in evaluated(tmp_path / "part.csv").stderr


def test_a_starting_worker_logs_what_is_wrong_with_its_training_file(
    sound: pd.DataFrame,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    sound.assign(oldbalanceDest=7).to_csv(tmp_path / "rows.csv", index=False)
    monkeypatch.setenv("FRAUD_TRAINING_FILE", str(tmp_path / "rows.csv"))
    train_and_activate(load(), lambda line: None)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "oldbalanceDest is 7.0 in every row" in record.getMessage()


def test_few_frauds_are_counted_in_the_error(sound: pd.DataFrame, tmp_path: Path) -> None:
    few = pd.concat([sound[sound.isFraud == 0], sound[sound.isFraud == 1].iloc[:9]])
    few.to_csv(tmp_path / "few.csv", index=False)
    done = CliRunner().invoke(train.command, [str(tmp_path / "few.csv")])
    assert done.exit_code == 1
    assert "Error: " in done.stderr
    assert "9 frauds in" in done.stderr
    assert "10 of each at least" in done.stderr


def test_a_model_of_another_schema_is_judged_without_the_drain_rule(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_SCHEMA", "cards")
    for name, seed in (("rows", 1), ("later", 2)):
        write_cards(CardsPlan.for_rows(10_000, 60, seed=seed), tmp_path / f"{name}.csv")
    assert trained(pd.read_csv(tmp_path / "rows.csv"), tmp_path).stderr == ""
    done = evaluated(tmp_path / "later.csv")
    assert done.stderr == ""
    assert "drain rule" not in done.output
    without_file = CliRunner().invoke(evaluate.command, ["--no-plots"])
    assert without_file.exit_code == 1
    assert "name a FILE" in without_file.stderr
