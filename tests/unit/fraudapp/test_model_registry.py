"""The active model is replaced atomically, and only by one that works."""

from __future__ import annotations

import os
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import msgspec
import pandas as pd
import pytest

from data.cards.generator import write_json_lines
from data.cards.plan import Plan as CardsPlan
from data.generator import generate, write_csv
from data.plan import Plan
from fraudapp.first_model import ready_scorer
from fraudapp.model_registry import ACTIVE_FILE, ModelRegistry
from fraudapp.settings import Settings, load
from models.artifact import MODEL_FILE, ModelFileError
from models.schema import presets
from models.schema.schema import PAYSIM, Schema, preset
from models.schema.schema import load as schema_of
from models.training.train import TrainedModel, train
from tests.support.transactions import transaction


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


def outdated(trained: TrainedModel) -> TrainedModel:
    """Return the same model, as a program version with other features would have trained it."""
    model = msgspec.structs.replace(trained.model, feature_contract="before-the-move/0")
    return trained._replace(model=model)


def test_a_program_of_other_features_keeps_its_active_model_when_this_one_gets_its_own(
    tmp_path: Path, trained: list[TrainedModel]
) -> None:
    registry = ModelRegistry(tmp_path)
    old, new = registry.add(outdated(trained[0])), registry.add(trained[1])
    (tmp_path / ACTIVE_FILE).write_text(f"{old}\n")
    assert registry.outdated() == old
    assert registry.active() is None
    with pytest.raises(ModelFileError, match="before-the-move/0"):
        registry.activate(old)
    registry.activate(new)
    assert registry.active() == registry.load_active().version == new
    assert (tmp_path / ACTIVE_FILE).read_text() == f"{old}\n"
    other = registry.add(trained[0])
    registry.activate(other)
    assert registry.active() == other


def test_a_model_of_other_features_is_trained_anew_on_the_same_data(tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    write_csv(Plan(rows=8_000, fraud_rate=0.05, seed=3), file)
    settings = load({"FRAUD_DATA_DIR": str(tmp_path), "FRAUD_TRAINING_FILE": str(file)})
    registry = ModelRegistry(settings.model_dir)
    before = train(file, "logistic", seed=3, weight_legit=2.0)
    old = registry.add(outdated(before))
    (settings.model_dir / ACTIVE_FILE).write_text(old)
    lines: list[str] = []
    ready_scorer(settings, lines.append)
    assert f"Model {old} is of an earlier version of the program or its schema" in lines[0]
    assert registry.active() == registry.add(before)
    lines.clear()
    ready_scorer(settings, lines.append)
    assert lines == []


@pytest.mark.parametrize(
    "told",
    [{"seed": None}, {"seed": "x"}, {"seed": -1}, {"seed": 1 << 32}]
    + [{"weight_legit": each} for each in (None, "x", 0, -2.0, [1.0])],
)
def test_a_card_that_does_not_say_how_its_model_was_trained_is_a_sentence(
    tmp_path: Path, trained: list[TrainedModel], told: dict[str, object]
) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("the same as ever")
    digest = sha256(file.read_bytes()).hexdigest()
    old = outdated(trained[0])
    old = old._replace(training=old.training | {"data_sha256": digest} | told)
    settings = load({"FRAUD_DATA_DIR": str(tmp_path), "FRAUD_TRAINING_FILE": str(file)})
    (settings.model_dir / ACTIVE_FILE).write_text(ModelRegistry(settings.model_dir).add(old))
    with pytest.raises(ModelFileError, match=r"does not say how it was trained .*fraudapp train"):
        ready_scorer(settings, lambda line: None)


def test_a_model_of_other_features_and_other_data_is_not_replaced_by_guess(
    tmp_path: Path, trained: list[TrainedModel]
) -> None:
    settings = load({"FRAUD_DATA_DIR": str(tmp_path)})
    old = ModelRegistry(settings.model_dir).add(outdated(trained[0]))
    (settings.model_dir / ACTIVE_FILE).write_text(old)
    with pytest.raises(ModelFileError, match="fraudapp train FILE"):
        ready_scorer(settings, lambda line: None)


@pytest.fixture(scope="module")
def cards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file to train a model of another schema on."""
    path = tmp_path_factory.mktemp("cards") / "cards.jsonl"
    write_json_lines(CardsPlan.for_rows(4_000, 20), path)
    return path


def settings_of(data_dir: Path, schema: object, file: Path) -> Settings:
    return load(
        {
            "FRAUD_DATA_DIR": str(data_dir),
            "FRAUD_SCHEMA": str(schema),
            "FRAUD_TRAINING_FILE": str(file),
            "FRAUD_MODEL_KIND": "logistic",
        }
    )


def test_each_schema_has_a_model_of_its_own_in_a_folder_and_finds_it_again(
    tmp_path: Path, cards: Path
) -> None:
    paysim = tmp_path / "rows.csv"
    write_csv(Plan(rows=8_000, fraud_rate=0.05, seed=3), paysim)
    data_dir = tmp_path / "data"
    of = {"paysim": paysim, "cards": cards}
    versions = {
        name: ready_scorer(settings_of(data_dir, name, file), lambda line: None).version
        for name, file in of.items()
    }
    assert len(set(versions.values())) == 2
    lines: list[str] = []
    for name, file in [*of.items(), *of.items()]:
        scorer = ready_scorer(settings_of(data_dir, name, file), lines.append)
        assert (scorer.version, scorer.schema.name) == (versions[name], name)
    assert lines == []
    registry = ModelRegistry.of(settings_of(data_dir, "cards", cards))
    assert {name: registry.card(each).training["schema"] for name, each in versions.items()} == {
        name: name for name in of
    }
    with pytest.raises(ModelFileError, match="is a model of schema paysim, and FRAUD_SCHEMA names"):
        registry.load(versions["paysim"])


def test_a_card_without_a_schema_is_of_paysim(tmp_path: Path, trained: list[TrainedModel]) -> None:
    version = ModelRegistry(tmp_path).add(trained[0])
    card = tmp_path / version / "card.json"
    content = msgspec.json.decode(card.read_bytes())
    assert content["training"].pop("schema") == "paysim"
    card.write_bytes(msgspec.json.encode(content))
    with pytest.raises(ModelFileError, match="is a model of schema paysim"):
        ModelRegistry(tmp_path, preset("cards")).load(version)


def edited(path: Path, feature: str) -> Path:
    """Write the preset's file with another feature of the amount."""
    text = presets.content("cards").decode()
    text = text.replace('log_amount = { log = "amount" }', f"log_amount = {feature}")
    path.write_text(text)
    return path


def test_an_edited_schema_gets_a_model_of_the_same_file_and_the_old_one_stays(
    tmp_path: Path, cards: Path
) -> None:
    own = edited(tmp_path / "own.toml", '{ number = "amount" }')
    lines: list[str] = []
    first = ready_scorer(settings_of(tmp_path, "cards", cards), lines.append).version
    lines.clear()
    second = ready_scorer(settings_of(tmp_path, own, cards), lines.append).version
    assert second != first
    assert lines[0].startswith(f"Model {first} is of an earlier version")
    lines.clear()
    for schema, version in (("cards", first), (own, second)) * 2:
        assert ready_scorer(settings_of(tmp_path, schema, cards), lines.append).version == version
    assert lines == []


def test_an_edited_schema_and_another_file_are_not_trained_by_guess(
    tmp_path: Path, cards: Path
) -> None:
    other = tmp_path / "other.jsonl"
    other.write_bytes(cards.read_bytes() + b"\n")
    first = ready_scorer(settings_of(tmp_path, "cards", cards), lambda line: None).version
    own = edited(tmp_path / "own.toml", '{ number = "amount" }')
    new = settings_of(tmp_path, own, other)
    words = (
        rf"model {first} was trained on 'cards\.jsonl', for features '{preset('cards').contract}'; "
        rf"schema cards now computes '{new.transaction_schema.contract}': train it again"
    )
    with pytest.raises(ModelFileError, match=words):
        ready_scorer(new, lambda line: None)


def test_the_model_to_train_anew_is_the_one_activated_last(tmp_path: Path, cards: Path) -> None:
    schemas: list[Schema] = [
        preset("cards"),
        *(
            schema_of(edited(tmp_path / f"{number}.toml", feature))
            for number, feature in enumerate(('{ number = "amount" }', '{ zero = "amount" }'))
        ),
    ]
    registries = [ModelRegistry(tmp_path / "models", each) for each in schemas]
    assert registries[2].outdated() is None
    added = [
        each.add(train(cards, "logistic", schema=schema))
        for each, schema in zip(registries[:2], schemas, strict=False)
    ]
    for moment, (registry, version) in enumerate(zip(registries, added, strict=False)):
        before = set((tmp_path / "models").glob("active*"))
        registry.activate(version)
        (pointer,) = set((tmp_path / "models").glob("active*")) - before
        os.utime(pointer, (moment, moment))
    assert registries[2].outdated() == added[1]
    assert registries[2].active() is None
    pointer = tmp_path / "models" / "active.cards"
    os.utime(pointer, (moment + 1, moment + 1))
    assert registries[2].outdated() == added[0]
    assert ModelRegistry(tmp_path / "models", PAYSIM).outdated() is None
