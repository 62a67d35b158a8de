"""A backtest knows the models of the control topic, as the workers do."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from fraudapp.backtests.candidate import IN_FORCE, of_chain
from fraudapp.backtests.known_models import KnownModels
from fraudapp.control.archived_models import archived_models
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import Settings, load
from models.artifact import ModelFileError
from models.control.chain import Chain
from models.control.records import Archived, Distributed
from models.schema.schema import PAYSIM
from models.training.train import train
from tests.support.chains import chain_of
from tests.unit.models.conftest import generated

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Distributed]:
    """A model that was trained elsewhere, by its version."""
    registry = ModelRegistry(tmp_path_factory.mktemp("elsewhere"))
    version = registry.add(train(generated(rows=20_000, fraud_rate=0.02, seed=6), "logistic"))
    return {version: Distributed.of(*registry.files(version), author="ann")}


def naming(version: str) -> Chain:
    """Two policies, the second of which is for a model."""
    return chain_of("flag_at = 0.4", f'model = "{version}"\nflag_at = 0.3')


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"FRAUD_DATA_DIR": str(tmp_path)})


def test_a_policy_for_a_model_of_the_topic_is_in_force(
    published: dict[str, Distributed], settings: Settings
) -> None:
    (version,) = published
    models = KnownModels(settings, published)
    found = of_chain(IN_FORCE, naming(version), settings, models)
    assert (found.number, found.problems) == (2, ())
    scorer = models.load(version)
    assert (scorer.version, models.card(version).version) == (version, version)
    without = of_chain(IN_FORCE, naming(version), settings, KnownModels(settings, {}))
    assert without.number == 1
    assert "is not in the control topic, and there is none here" in " ".join(without.problems)


def test_a_damaged_model_of_the_topic_is_no_model(
    published: dict[str, Distributed], settings: Settings
) -> None:
    ((version, told),) = published.items()
    damaged = Distributed(model=told.model[:-9], card=told.card, sha256="", author="ann")
    models = KnownModels(settings, {version: damaged})
    assert models.problem(version) is not None
    assert models.problem(None) is None
    assert of_chain(IN_FORCE, naming(version), settings, models).number == 1
    with pytest.raises(ModelFileError):
        models.load(version)


def test_a_model_of_this_machine_is_known_by_its_version(settings: Settings) -> None:
    registry = ModelRegistry.of(settings)
    version = registry.add(train(generated(rows=20_000, fraud_rate=0.02, seed=7), "logistic"))
    models = KnownModels(settings, {})
    assert "there is none here" in (models.problem(version) or "")
    assert models.load(version).version == version
    registry.activate(version)
    assert models.problem(version) is None
    assert models.active().features.names == PAYSIM.features.names
    assert models.card(version).version == version


async def test_a_model_of_the_archive_is_fetched_when_it_is_needed(
    published: dict[str, Distributed], tmp_path: Path
) -> None:
    environment = {"FRAUD_ARCHIVE_URL": tmp_path.as_uri(), "FRAUD_DATA_DIR": str(tmp_path / "data")}
    ((version, told),), settings = published.items(), load(environment)
    archived = Archived.of(*told.files, author="ann")
    models = KnownModels(settings, {version: archived})
    assert models.card(version).version == version
    assert "cannot be fetched" in (models.problem(version) or "")
    async with archived_models(settings) as archive:
        await archive.put(version, archived, told.files[0])
    assert "cannot be fetched" in (models.problem(version) or "")  # it is tried once
    models = KnownModels(settings, {version: archived})
    assert models.problem(version) is None
    assert of_chain(IN_FORCE, naming(version), settings, models).number == 2
    shutil.rmtree(tmp_path / "models")
    assert models.load(version).version == version
