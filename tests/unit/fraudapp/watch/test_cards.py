"""What is expected of a model's rows is on its card, in the control topic or on this machine."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path

import msgspec
import pytest

from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import Settings, load
from fraudapp.watch.cards import ModelCards
from models.artifact import CARD_FILE
from models.control.records import Distributed
from models.control.state import ControlState
from models.schema.schema import PAYSIM
from models.watch.expected import ON_CARD


@pytest.fixture
def settings(trained_models: Path, tmp_path: Path) -> Settings:
    shutil.copytree(trained_models, tmp_path / "models")
    return load({"FRAUD_DATA_DIR": str(tmp_path)})


def version_of(settings: Settings) -> str:
    version = ModelRegistry.of(settings).active()
    assert version is not None
    return version


def test_the_card_of_this_machine_is_read_once(settings: Settings) -> None:
    version, cards = version_of(settings), ModelCards(settings, ControlState)
    found = cards.expected(version)
    assert found is not None
    assert tuple(found.features) == PAYSIM.features.names
    shutil.rmtree(settings.model_dir)
    assert cards.expected(version) is found


def test_that_of_the_control_topic_comes_first_and_may_come_late(settings: Settings) -> None:
    version, known = version_of(settings), ControlState()
    model, card = ModelRegistry.of(settings).files(version)
    shutil.rmtree(settings.model_dir)
    cards = ModelCards(settings, lambda: known)
    assert cards.expected(version) is None
    known.models[version] = Distributed.of(model, card, author="a")
    assert cards.expected(version) is not None


def test_an_old_card_is_told_of_once(settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    version, cards = version_of(settings), ModelCards(settings, ControlState)
    path = settings.model_dir / version / CARD_FILE
    card = msgspec.json.decode(path.read_bytes())
    del card["training"][ON_CARD]
    path.write_bytes(msgspec.json.encode(card))
    with caplog.at_level(logging.WARNING):
        for _ in range(2):
            found = cards.expected(version)
    assert found is not None
    assert found.features == {}
    assert len(caplog.records) == 1
    assert f"the card of {version} does not say" in caplog.text


def test_a_card_that_cannot_be_read_says_nothing(settings: Settings) -> None:
    version, cards = version_of(settings), ModelCards(settings, ControlState)
    (settings.model_dir / version / CARD_FILE).write_bytes(b"{")
    assert cards.expected(version) is None
    assert cards.expected("gradient_boosting-none") is None
