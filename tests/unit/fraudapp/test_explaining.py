"""A decision is explained by the model and the policy that it names, wherever they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from fraudapp.control.model_shelf import ModelShelf
from fraudapp.explaining import Explainer, Unexplainable
from fraudapp.model_registry import ModelRegistry
from models.control.records import Archived, Published
from models.records import Decision, Outcome
from models.schema.schema import PAYSIM
from models.schema.stored import other_transaction
from models.scorer import Scorer
from tests.support import tiny_model
from tests.support.chains import chain_of
from tests.support.decisions import decision
from tests.support.tiny_model import none_archived
from tests.support.transactions import transaction
from tests.support.views import Bench, bench

POLICY = """
flag_at = 0.25
block_at = 0.75
[[rules]]
id = "large"
when = "amount > 100"
then = "flag"
reason = "It is large."
owner = "risk"
"""
TRANSACTION = transaction(type="PAYMENT", amount=250.0, oldbalanceOrg=1e4)


class House:
    """A worker with its own model, a topic and a folder."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "models"
        self.elsewhere = root / "elsewhere"
        self.bench: Bench = bench(FRAUD_DATA_DIR=str(root))
        self.own = self.scorer(tiny_model.saved(self.elsewhere, tiny_model.model()), self.elsewhere)
        self.topic: dict[str, Published] = {}
        self.bench.parts.control.models = ModelShelf(self.own, PAYSIM, self.topic, none_archived())
        self.explainer = Explainer(self.bench.worker)

    def scorer(self, version: str, root: Path) -> Scorer:
        return ModelRegistry(root).load(version)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


def made_by(scorer: Scorer, **changes: Any) -> Decision:
    (score,) = scorer.score([TRANSACTION])
    return decision(
        transaction=TRANSACTION,
        decision=Outcome.APPROVE,
        reasons=[],
        score=float(score),
        model_version=scorer.version,
        policy_version="flag-0.5-block-0.8",
        **changes,
    )


async def test_one_of_the_workers_own_model_is_explained_though_it_was_approved(
    house: House,
) -> None:
    found = await house.explainer.explain(made_by(house.own))
    assert (found.model_version, found.decision) == (house.own.version, Outcome.APPROVE)
    assert found.recomputed.is_same
    assert found.raising
    assert (found.policy.flag_at, found.policy.block_at) == (0.5, 0.8)


@pytest.mark.parametrize("place", ["topic", "folder"])
async def test_one_of_another_model_is_explained_by_that_model(house: House, place: str) -> None:
    root = house.elsewhere if place == "topic" else house.folder
    version = tiny_model.saved(root, tiny_model.model(weight=-0.75))
    if place == "topic":
        house.topic[version] = tiny_model.distributed(root, version)
    scorer = house.scorer(version, root)
    found = await house.explainer.explain(made_by(scorer))
    assert (found.model_version, found.recomputed.is_same) == (version, True)
    assert found.log_odds != house.own.explained(TRANSACTION).log_odds


async def test_one_of_a_model_that_is_not_here_says_what_to_do(house: House) -> None:
    version = tiny_model.saved(house.elsewhere, tiny_model.model(weight=-0.75))
    made = made_by(house.scorer(version, house.elsewhere))
    with pytest.raises(Unexplainable, match=rf"by `fraudapp models publish {version}`") as caught:
        await house.explainer.explain(made)
    assert str(house.folder) not in str(caught.value)


async def test_one_of_a_model_that_is_still_in_the_archive_says_so(house: House) -> None:
    version = tiny_model.saved(house.elsewhere, tiny_model.model(weight=-0.75))
    made = made_by(house.scorer(version, house.elsewhere))
    files = ModelRegistry(house.elsewhere).files(version)
    house.topic[version] = Archived.of(*files, author="ann")
    with pytest.raises(Unexplainable, match=r"and not yet here: .* ask again later"):
        await house.explainer.explain(made)
    tiny_model.saved(house.folder, tiny_model.model(weight=-0.75))
    assert (await house.explainer.explain(made)).recomputed.is_same


async def test_a_model_for_other_features_says_whom_to_ask(house: House) -> None:
    other = tiny_model.model()
    odd = msgspec.structs.replace(other, feature_contract="paysim-0123456789ab")
    version = tiny_model.saved(house.folder, odd)
    with pytest.raises(Unexplainable, match=r"other features .* ask a worker of the version"):
        await house.explainer.explain(decision(model_version=version))


async def test_one_of_another_schema_says_whom_to_ask(house: House) -> None:
    other = other_transaction({"transaction_id": "t1", "card": "c-7"})
    made = decision(transaction=other, schema_version="own-0123456789ab")
    with pytest.raises(Unexplainable, match="with the fields of schema 'own-0123456789ab'"):
        await house.explainer.explain(made)


async def test_thresholds_and_rules_are_those_of_the_policy_that_it_names(house: House) -> None:
    house.bench.parts.control.known.chain = chain_of(POLICY, "flag_at = 0.1\nblock_at = 0.2\n")
    made = msgspec.structs.replace(made_by(house.own), policy_version="1+12", hits=["large"])
    found = (await house.explainer.explain(made)).policy
    assert (found.flag_at, found.block_at) == (0.25, 0.75)
    assert [(hit.rule, hit.then, hit.mode) for hit in found.hits] == [("large", "flag", "active")]


@pytest.mark.parametrize("version", ["3+12", "p1"])
async def test_a_policy_that_is_not_known_leaves_thresholds_unknown(
    house: House, version: str
) -> None:
    house.bench.parts.control.known.chain = chain_of(POLICY, 'model = "x"\nrules = 7')
    made = msgspec.structs.replace(made_by(house.own), policy_version=version)
    found = (await house.explainer.explain(made)).policy
    assert (found.version, found.flag_at, found.block_at) == (version, None, None)
    unfit = msgspec.structs.replace(made, policy_version="2+12")
    assert (await house.explainer.explain(unfit)).policy.flag_at is None
