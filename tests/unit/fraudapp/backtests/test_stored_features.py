"""Features are those that the deciding model saw, as far as it is still here."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import pytest

from fraudapp.backtests.known_models import KnownModels
from fraudapp.backtests.stored_features import StoredFeatures
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import Settings, load
from models import artifact
from models.artifact import Model, ModelFileError
from models.linear import Linear
from models.policies.reading import read
from models.policies.ruling import Ruling
from models.schema.schema import preset
from tests.support.transactions import transaction

CARDS = preset("cards")
BY_RATE = """
[[rules]]
id = "rate"
when = "category_fraud_rate > 0.5"
then = "block"
reason = "Often fraud."
owner = "o"
"""
(PAID,) = CARDS.with_profiles(
    [
        CARDS.transaction(
            transaction_id="t",
            at=datetime(2026, 3, 1, tzinfo=timezone.utc),
            customer_id="c",
            terminal_id="m",
            category="misc_net",
            amount=1.0,
        )
    ],
    [{}],
)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load({"FRAUD_SCHEMA": "cards", "FRAUD_DATA_DIR": str(tmp_path)})


def stored(settings: Settings, policy: bytes) -> StoredFeatures:
    schema = settings.transaction_schema
    ruling = Ruling(read(policy, schema), schema)
    return StoredFeatures(schema, ruling, KnownModels(settings, {}))


def learned(settings: Settings, rate: float) -> str:
    """The version of a model that has learned a rate for the category."""
    names = list(CARDS.features.names)
    body = Linear(0.0, [0.0] * len(names), [0.0] * len(names))
    tables = {"category_fraud_rate": {"misc_net": rate}, "category_share": {"misc_net": 0.5}}
    return artifact.save(
        Model("logistic", CARDS.contract, names, body, tables),
        settings.model_dir,
        created_at=datetime(2026, 3, 1, tzinfo=timezone.utc),
        training={"schema": CARDS.name},
        metrics={},
    )


def rates(features: StoredFeatures, version: str) -> float:
    matrix = features.matrix([PAID], version)
    assert matrix is not None
    return float(matrix[0, CARDS.features.names.index("category_fraud_rate")])


def test_each_model_version_has_its_own(settings: Settings) -> None:
    low, high = learned(settings, 0.25), learned(settings, 0.75)
    ModelRegistry.of(settings).activate(low)
    features = stored(settings, BY_RATE.encode())
    assert features.depend_on_model
    assert (rates(features, low), rates(features, high)) == (0.25, 0.75)
    assert not features.missing
    assert rates(features, "gone") == 0.25
    assert features.missing == {"gone"}


def test_without_any_model_what_it_has_learned_is_not_made_up(settings: Settings) -> None:
    features = stored(settings, BY_RATE.encode())
    with pytest.raises(ModelFileError, match="no model"):
        features.matrix([PAID], "gone")


def test_no_model_is_needed_where_nothing_is_learned(tmp_path: Path) -> None:
    settings = load({"FRAUD_DATA_DIR": str(tmp_path)})
    rule = BY_RATE.replace("category_fraud_rate", "log_amount")
    features = stored(settings, rule.encode())
    assert not features.depend_on_model
    assert features.matrix([transaction()], "gone") is not None


def test_nothing_is_computed_that_no_rule_uses(settings: Settings) -> None:
    features = stored(settings, b"flag_at = 0.5")
    assert features.matrix([PAID], "gone") is None
