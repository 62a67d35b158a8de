"""`train`, `evaluate` and `models`: the life of a model on the command line."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from data.generator import write_csv
from data.plan import Plan
from fraudapp.commands import evaluate, models, train
from fraudapp.first_model import ready_scorer
from fraudapp.model_registry import ACTIVE_FILE, ModelRegistry
from fraudapp.settings import load
from models.artifact import CARD_FILE, MODEL_FILE, ModelFileError
from models.training.train import train as train_on

pytestmark = pytest.mark.slow

COMMANDS = {"train": train.command, "evaluate": evaluate.command, "models": models.command}


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to train and judge on."""
    path = tmp_path_factory.mktemp("sample") / "rows.csv"
    write_csv(Plan(rows=8_000, fraud_rate=0.05, seed=3), path)
    return path


@pytest.fixture(autouse=True)
def own_data_dir(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FRAUD_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("FRAUD_TRAINING_FILE", str(sample))
    monkeypatch.setenv("FRAUD_MODEL_KIND", "logistic")


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


def run(name: str, *arguments: object) -> Result:
    return CliRunner().invoke(COMMANDS[name], [str(each) for each in arguments])


def test_a_trained_model_is_kept_and_serves(sample: Path, registry: ModelRegistry) -> None:
    done = run("train", sample)
    assert done.exit_code == 0, done.output
    (version,) = registry.versions()
    assert registry.active() == version
    assert f"{version} is active; workers use it when they start" in done.output


def test_who_trains_is_told_if_another_is_named_to_serve(
    sample: Path, registry: ModelRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_MODEL_VERSION", "gradient_boosting-0123456789abcdef")
    done = run("train", sample)
    (version,) = registry.versions()
    assert f"{version} is active\n" in done.output
    assert "but FRAUD_MODEL_VERSION names gradient_boosting-0123456789abcdef" in done.output
    assert "workers use it" not in done.output


def test_a_model_can_be_kept_without_serving(sample: Path, registry: ModelRegistry) -> None:
    done = run("train", sample, "--no-activate", "--kind", "gradient_boosting", "--seeds", 2)
    assert done.exit_code == 0, done.output
    assert "over 2 seeds" in done.output
    assert registry.versions()[0].startswith("gradient_boosting-")
    assert registry.active() is None


def test_a_bad_training_file_leaves_what_serves(
    sample: Path, registry: ModelRegistry, tmp_path: Path
) -> None:
    run("train", sample)
    before = registry.active()
    bad = tmp_path / "bad.csv"
    bad.write_text("step,type\n1,PAYMENT\n")
    done = run("train", bad)
    assert done.exit_code == 1
    assert "bad.csv: column amount" in done.output
    assert registry.active() == before


def test_an_evaluation_is_printed_and_written(sample: Path, tmp_path: Path) -> None:
    run("train", sample)
    done = run("evaluate", sample, "--weight-legit", "2", "--out", tmp_path / "out", "--no-plots")
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    assert report["weight_legit"] == 2.0
    assert f"{report['average_precision']:.4f}" in done.output
    assert report["drain_rule_average_precision"] < report["average_precision"]


def test_thieves_who_know_the_model_are_judged_if_asked_for(sample: Path, tmp_path: Path) -> None:
    run("train", sample)
    done = run("evaluate", sample, "--evasion", "--out", tmp_path / "out", "--no-plots")
    assert done.exit_code == 0, done.output
    lines = done.output.partition("blocked from 0.8 on:\n")[2].splitlines()
    report = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    for line, each in zip(lines, report["evasion"], strict=False):
        assert line.split(each["way"])[1].split() == [
            f"{each['blocked']:.3f}",
            "of",
            f"{each['rows']:,}",
        ]
    assert len(report["evasion"]) > 12
    plain = run("evaluate", sample, "--out", tmp_path / "out", "--no-plots")
    assert "blocked from" not in plain.output


def test_a_file_that_cannot_be_judged_is_an_error_with_its_name(
    sample: Path, tmp_path: Path
) -> None:
    run("train", sample)
    done = run("evaluate", tmp_path / "absent.csv", "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "absent.csv cannot be read" in done.output


def test_models_are_listed_with_a_star_at_the_active_one(
    sample: Path, registry: ModelRegistry
) -> None:
    assert "no models yet" in run("models", "list").output
    run("train", sample)
    run("train", sample, "--kind", "gradient_boosting", "--no-activate")
    lines = run("models", "list").output.splitlines()
    assert [line[:3] for line in lines] == ["  g", "* l"]
    assert all("average precision 0." in line and "rows.csv" in line for line in lines)


def test_another_version_can_be_activated_and_a_damaged_one_cannot(
    sample: Path, registry: ModelRegistry, tmp_path: Path
) -> None:
    run("train", sample)
    run("train", sample, "--kind", "gradient_boosting", "--no-activate")
    boosted, logistic = registry.versions()
    assert run("models", "activate", boosted).exit_code == 0
    assert registry.active() == boosted
    path = tmp_path / "models" / logistic / MODEL_FILE
    path.write_bytes(path.read_bytes()[:-1])
    refused = run("models", "activate", logistic)
    assert refused.exit_code == 1
    assert "changed or damaged" in refused.output
    assert registry.active() == boosted
    assert "unusable" in run("models", "list").output


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:40])


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def _loop(path: Path) -> None:
    path.unlink()
    path.symlink_to(path)


def _wrong_kinds(path: Path) -> None:
    card = json.loads(path.read_text())
    path.write_text(json.dumps({**card, "metrics": {"average_precision": "x"}, "training": {}}))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": _cut,
    "empty": lambda path: path.write_bytes(b""),
    "null": lambda path: path.write_bytes(b"null"),
    "list": lambda path: path.write_bytes(b"[1]"),
    "no text": lambda path: path.write_bytes(b"\xff\xfe\x00"),
    "pickle": lambda path: path.write_bytes(pickle.dumps({"a": 1})),
    "NULs": lambda path: path.write_bytes(b"\0" * 100),
    "folder": _folder,
    "gone": Path.unlink,
    "loop": _loop,
    "other kinds": _wrong_kinds,
}


@pytest.fixture(scope="module")
def kept(sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with one active model."""
    root = tmp_path_factory.mktemp("kept")
    registry = ModelRegistry(root / "models")
    registry.activate(registry.add(train_on(sample, "logistic")))
    return root / "models"


@pytest.mark.parametrize("place", [ACTIVE_FILE, MODEL_FILE, CARD_FILE])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_registry_is_a_sentence_in_every_command(
    sample: Path, registry: ModelRegistry, tmp_path: Path, kept: Path, place: str, damage: str
) -> None:
    if damage == "other kinds" and place != CARD_FILE:
        pytest.skip("only a card is read that far")
    shutil.copytree(kept, tmp_path / "models")
    (version,) = registry.versions()
    at = tmp_path / "models"
    DAMAGES[damage](at / place if place == ACTIVE_FILE else at / version / place)
    judged = ("evaluate", sample, "--no-plots", "--out", tmp_path / "out")
    for command in (
        ("models", "list"),
        judged,
        (*judged, "--model", version),
        ("models", "activate", version),
    ):
        done = run(*command)
        assert isinstance(done.exception, SystemExit | None), (command, done.exc_info)
        if done.exit_code:
            assert done.exit_code == 1
            assert len(done.output.strip().splitlines()) <= 2, done.output
    with suppress(ModelFileError):  # a starting worker prints it as a sentence
        ready_scorer(load(), lambda line: None)
    trained = run("train", sample)
    unfixable = place == ACTIVE_FILE and damage == "folder"
    assert trained.exit_code == (1 if unfixable else 0), trained.output
    assert isinstance(trained.exception, SystemExit | None)
    if not unfixable:
        assert registry.load_active().version in registry.versions()


def test_a_pointer_to_nothing_is_a_sentence_and_is_not_guessed(
    sample: Path, registry: ModelRegistry, tmp_path: Path, kept: Path
) -> None:
    shutil.copytree(kept, tmp_path / "models")
    (version,) = registry.versions()
    for named in ("logistic-0000000000000000", "../kept", "x" * 5_000, "a\nb", "\0"):
        (tmp_path / "models" / ACTIVE_FILE).write_text(named)
        for command in (("models", "list"), ("evaluate", sample, "--no-plots")):
            done = run(*command)
            assert done.exit_code == 1, done.output
            assert isinstance(done.exception, SystemExit)
    assert run("models", "activate", version).exit_code == 0
    assert run("models", "list").exit_code == 0


def test_a_file_in_place_of_the_folder_is_a_sentence(sample: Path, tmp_path: Path) -> None:
    (tmp_path / "models").touch()
    for command in (("models", "list"), ("models", "activate", "x"), ("train", sample)):
        done = run(*command)
        assert done.exit_code == 1, done.output
        assert isinstance(done.exception, SystemExit)
        assert "Error: " in done.output


def test_a_version_is_judged_before_it_is_activated(
    sample: Path, registry: ModelRegistry, tmp_path: Path
) -> None:
    run("train", sample)
    active = registry.active()
    run("train", sample, "--kind", "gradient_boosting", "--no-activate")
    (other,) = set(registry.versions()) - {active}
    for arguments, judged in ((("--model", other), other), ((), active)):
        done = run("evaluate", sample, *arguments, "--no-plots", "--out", tmp_path / "out")
        assert done.exit_code == 0, done.output
        assert done.output.startswith(f"{judged} on ")
        report = json.loads((tmp_path / "out" / "evaluation.json").read_text())
        assert report["model_version"] == judged
    assert registry.active() == active
    unknown = run("evaluate", sample, "--model", "absent", "--no-plots")
    assert unknown.exit_code == 1
    assert "there is no model 'absent'" in unknown.output


def test_settings_that_an_active_model_makes_ineffective_are_named(
    sample: Path,
    registry: ModelRegistry,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ready_scorer(load(), lambda line: None)
    ready_scorer(load(), lambda line: None)
    assert caplog.messages == []
    other = tmp_path / "other.csv"
    other.write_text("other")
    for setting, value, command in (
        ("FRAUD_MODEL_KIND", "gradient_boosting", "`fraudapp train --kind gradient_boosting`"),
        ("FRAUD_TRAINING_FILE", str(other), "`fraudapp train`"),
    ):
        caplog.clear()
        with monkeypatch.context() as patch:
            patch.setenv(setting, value)
            ready_scorer(load(), lambda line: None)
        (message,) = caplog.messages
        assert f"{setting}={value} has no effect: {registry.active()}" in message
        assert command in message
    monkeypatch.delenv("FRAUD_MODEL_KIND")
    caplog.clear()
    ready_scorer(load(), lambda line: None)
    assert caplog.messages == []
