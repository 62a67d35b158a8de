"""The model that serves changes as a whole, and only to one that works."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from data.generator import generate
from data.plan import Plan
from fraudapp.model_registry import ModelRegistry
from models.artifact import MODEL_FILE, ModelFileError
from models.training import TrainedModel, train
from tests.unit.transactions import transaction


@pytest.fixture(scope="module")
def trained() -> list[TrainedModel]:
    """Two quick models that differ."""
    rows = list(generate(Plan(rows=8_000, fraud_rate=0.05, seed=3)))
    frame = pd.DataFrame(rows)
    return [train(frame, "logistic"), train(frame.iloc[::2], "logistic")]


@pytest.fixture
def registry(tmp_path: Path) -> ModelRegistry:
    return ModelRegistry(tmp_path / "models")


def damage(registry_root: Path, version: str) -> None:
    path = registry_root / version / MODEL_FILE
    path.write_bytes(path.read_bytes().replace(b"1", b"2"))


def test_before_anything_is_trained_nothing_is_active(registry: ModelRegistry) -> None:
    assert registry.versions() == []
    assert registry.active() is None
    with pytest.raises(ModelFileError, match="fraudapp train"):
        registry.load_active()


def test_an_added_model_serves_only_once_activated(
    registry: ModelRegistry, trained: list[TrainedModel]
) -> None:
    version = registry.add(trained[0])
    assert registry.versions() == [version]
    assert registry.active() is None
    assert registry.activate(version).version == version
    assert registry.active() == version
    assert registry.load_active().score([transaction()]).shape == (1,)
    assert registry.card(version).metrics == trained[0].metrics


def test_activation_can_be_taken_back(registry: ModelRegistry, trained: list[TrainedModel]) -> None:
    one, other = map(registry.add, trained)
    assert one != other
    for version in (one, other, one):
        registry.activate(version)
        assert registry.load_active().version == version


def test_a_damaged_model_never_takes_over(tmp_path: Path, trained: list[TrainedModel]) -> None:
    registry = ModelRegistry(tmp_path)
    good, bad = map(registry.add, trained)
    registry.activate(good)
    damage(tmp_path, bad)
    with pytest.raises(ModelFileError):
        registry.activate(bad)
    assert registry.active() == good
    assert registry.load_active().version == good


@pytest.mark.parametrize("version", ["absent", "../elsewhere", "", "active", "."])
def test_an_unknown_version_is_refused_and_the_known_ones_are_named(
    registry: ModelRegistry, trained: list[TrainedModel], version: str
) -> None:
    known = registry.add(trained[0])
    with pytest.raises(ModelFileError, match=known):
        registry.activate(version)


def test_a_draft_left_by_a_crash_is_no_version(tmp_path: Path, trained: list[TrainedModel]) -> None:
    registry = ModelRegistry(tmp_path)
    version = registry.add(trained[0])
    draft = tmp_path / ".draft-123"
    draft.mkdir()
    (draft / MODEL_FILE).write_bytes(b"half")
    assert registry.versions() == [version]


def test_serving_imports_neither_scikit_learn_nor_pandas() -> None:
    code = (
        "import sys, fraudapp.model_registry, models.scorer, models.deciding\n"
        "print([m for m in ('sklearn', 'pandas', 'scipy', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
