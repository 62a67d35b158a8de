"""A model comes to all workers through the control topic, and scores once a policy names it."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fraudapp.model_registry import ModelRegistry
from models.canary import is_chosen
from models.schema.schema import PAYSIM
from models.training.train import train
from tests.e2e.test_policies_in_force import commanded, decided, load, owners, pair
from tests.support import readback
from tests.support.archived import logged
from tests.support.worker import Worker
from tests.unit.models.conftest import generated

QUICK = {"FRAUD_BROKER_SESSION_TIMEOUT": "6", "FRAUD_BROKER_HEARTBEAT_INTERVAL": "1"}


@pytest.fixture(scope="module")
def another(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with another model than the workers have."""
    folder = tmp_path_factory.mktemp("another")
    trained = train(generated(rows=20_000, fraud_rate=0.02, seed=5), "logistic")
    registry = ModelRegistry(folder / "models")
    registry.activate(registry.add(trained))
    return folder


def policy(folder: Path, model: str) -> str:
    """The path of a policy that names a model."""
    path = folder / f"{model}.toml"
    path.write_text(f'model = "{model}"\n')
    return str(path)


async def test_another_model_scores_from_one_batch_to_the_next_and_is_taken_back(
    another: Path, tmp_path: Path, new_worker: Callable[..., Worker]
) -> None:
    two = await pair(new_worker, **QUICK)
    worker, registry = two[0], ModelRegistry(another / "models")
    model = registry.active()
    own = worker.stats()["model_version"]
    assert model
    assert model != own
    where = {"FRAUD_DATA_DIR": str(another)}
    async with load(worker):
        code, said = await commanded(worker, "policy", "apply", policy(tmp_path, model))
        assert code == 1, said
        assert f"`fraudapp models publish {model}`" in said
        worker.environment, kept = {**worker.environment, **where}, worker.environment
        for told in (f"{model} is in topic", f"{model} was in topic"):
            code, said = await commanded(worker, "models", "publish", model)
            assert code == 0, said
            assert told in said
        worker.environment = kept
        code, said = await commanded(
            worker, "policy", "apply", policy(tmp_path, model), "--wait", "60"
        )
        assert code == 0, said
        found = await decided(worker, "swapped", amount=500.0)
        assert {each["model_version"] for each in found} == {model}
        assert scores_are_of(registry, model, found)
        assert f"* {model}" in worker.run("models", "published")
        two[1].kill()
        two[1].launch()
        newer = await asyncio.to_thread(new_worker, **QUICK)  # it takes what is in force
        file = policy(tmp_path, own)
        code, said = await commanded(worker, "policy", "apply", file, "--wait", "60")
        assert code == 0, said
        found = await decided(worker, "back", amount=500.0)
        assert {each["model_version"] for each in found} == {own}
        code, said = await commanded(worker, "policy", "rollback", "1", "--wait", "60")
        assert code == 0, said
        await readback.eventually(lambda: len(owners(worker)) == 3)
    found = await decided(worker, "again", amount=500.0)
    assert {each["model_version"] for each in found} == {model}
    for each in (*two, newer):
        await readback.eventually(lambda: each.stats()["model_version"] == model)  # noqa: B023
    log = logged(await readback.in_topic(worker.environment, "decisions"))
    ids = Counter(each["transaction_id"] for each in log)
    assert max(ids.values()) == 1
    scored = [each for each in log if each["model_version"] == model]
    assert scores_are_of(registry, model, scored)
    for each in (*two, newer):  # each was decided by another model, both of which all have
        for id_ in (scored[0]["transaction_id"], found_by(log, own)):
            status, told = each.get(f"/transaction/{id_}/explain")
            assert (status, told["recomputed"]["is_same"]) == (200, True), told


async def test_what_is_too_large_for_a_record_comes_to_all_by_the_archive(
    another: Path, tmp_path: Path, new_worker: Callable[..., Worker]
) -> None:
    two = await pair(new_worker, **QUICK, FRAUD_MODEL_RECORD_BYTES="1000")
    worker, registry = two[0], ModelRegistry(another / "models")
    model, own = registry.active() or "", worker.stats()["model_version"]
    worker.run("init")
    kept = worker.environment
    worker.environment = {**kept, "FRAUD_DATA_DIR": str(another)}
    code, said = await commanded(worker, "models", "publish", model)
    assert code == 0, said
    worker.environment = kept
    published = worker.run("models", "published").splitlines()
    assert [line.split()[0] for line in published] == [own, model]
    assert all("bytes in the archive by" in line for line in published)
    code, said = await commanded(worker, "policy", "apply", policy(tmp_path, model), "--wait", "60")
    assert code == 0, said
    # On an empty disk, and without a file to train on, it has both from the archive.
    two[1].kill()
    shutil.rmtree(two[1].environment["FRAUD_DATA_DIR"])
    two[1].environment["FRAUD_TRAINING_FILE"] = str(tmp_path / "none.csv")
    await asyncio.to_thread(two[1].start)
    await readback.eventually(lambda: len(owners(worker)) == 2)
    found = await decided(worker, "large", amount=500.0)
    assert {each["model_version"] for each in found} == {model}
    assert scores_are_of(registry, model, found)
    for each in two:
        states = {state["version"]: state for state in each.get("/models")[1]["models"]}
        assert (states[model]["decides"], states[model]["problem"]) == (True, "")
        assert states[own]["is_own"]
        status, told = each.get(f"/transaction/{found[0]['transaction_id']}/explain")
        assert (status, told["recomputed"]["is_same"]) == (200, True), told


def found_by(log: list[dict[str, Any]], model: str) -> str:
    """The id of some transaction that a model has scored."""
    return str(next(each["transaction_id"] for each in log if each["model_version"] == model))


async def test_every_decision_has_once_what_a_model_in_shadow_says(
    another: Path, tmp_path: Path, new_worker: Callable[..., Worker]
) -> None:
    worker, registry = (
        await asyncio.to_thread(new_worker, **QUICK),
        ModelRegistry(another / "models"),
    )
    model, own = registry.active() or "", worker.stats()["model_version"]
    file = tmp_path / "shadow.toml"
    file.write_text(f'shadow = ["{model}"]\nblock_at = 0.9\n')
    code, said = await commanded(worker, "policy", "apply", str(file))
    assert code == 1, said
    worker.environment, kept = (
        {**worker.environment, "FRAUD_DATA_DIR": str(another)},
        (worker.environment),
    )
    code, said = await commanded(worker, "models", "publish", model)
    assert code == 0, said
    worker.environment = kept
    code, said = await commanded(worker, "policy", "apply", str(file), "--wait", "60")
    assert code == 0, said
    found = await decided(worker, "before", amount=500.0)
    worker.kill()
    await asyncio.to_thread(worker.start)
    found += await decided(worker, "after", amount=250_000.0)
    assert {each["model_version"] for each in found} == {own}
    assert {tuple(each["shadow"]) for each in found} == {(model,)}
    told = [{**each, "score": each["shadow"][model]["score"]} for each in found]
    assert scores_are_of(registry, model, told)
    log = logged(await readback.in_topic(worker.environment, "decisions"))
    assert max(Counter(each["transaction_id"] for each in log).values()) == 1
    await readback.everywhere(worker.environment, len(log))
    rows = await readback.in_postgres(worker.environment)
    in_redis = readback.in_redis(worker.environment)
    for each in log:
        id_ = each["transaction_id"]
        assert json.loads(rows[id_]["shadow"]) == each["shadow"] == in_redis[id_]["shadow"]
    states = {each["version"]: each for each in worker.get("/models")[1]["models"]}
    assert (states[own]["decides"], states[model]["in_shadow"]) == (True, True)
    assert states[model]["rows"] > 0
    code, said = await commanded(worker, "models", "compare", own, model, "--from-postgres")
    assert code == 0, said
    assert f"{len(log):,} transactions that both have scored" in said
    code, said = await commanded(worker, "models", "promote", model)
    assert code == 4, said
    assert "rows in shadow, and needs 10,000" in said
    file.write_text(f'shadow = ["{model}"]\ncanary = 0.5\n')
    code, said = await commanded(worker, "policy", "apply", str(file), "--wait", "60")
    assert code == 0, said
    senders = {is_chosen(each, model, 0.5): each for each in map("C{}".format, range(40))}
    for is_canary, sender in senders.items():
        decides, other = (model, own) if is_canary else (own, model)
        found = await decided(worker, sender, nameOrig=sender)
        assert {each["model_version"] for each in found} == {decides}
        assert {tuple(each["shadow"]) for each in found} == {(other,)}
        status, told = worker.get(f"/transaction/{found[0]['transaction_id']}/explain")
        assert (status, told["recomputed"]["is_same"]) == (200, True), told
        if is_canary:
            assert scores_are_of(registry, model, found)
    assert senders.keys() == {True, False}


async def test_a_worker_without_a_model_takes_that_of_the_cluster(
    new_worker: Callable[..., Worker], tmp_path: Path
) -> None:
    first = new_worker()
    model = first.stats()["model_version"]
    assert f"model: {model} is active" in first.run("init")
    assert "the first model" in first.run("models", "published")
    # With no file to train on, it could not start without that model.
    other = new_worker(FRAUD_TRAINING_FILE=str(tmp_path / "none.csv"))
    folder = Path(other.environment["FRAUD_DATA_DIR"])
    other.kill()
    shutil.rmtree(folder)
    await asyncio.to_thread(other.start)
    assert other.stats()["model_version"] == model
    assert ModelRegistry(folder / "models").versions() == [model]
    assert "Training" not in other.log.read_text()


def scores_are_of(registry: ModelRegistry, model: str, decisions: list[dict[str, Any]]) -> bool:
    """Whether decisions have the scores of a model, as this process computes them."""
    rows = [PAYSIM.parser.from_mapping(each["transaction"]) for each in decisions]
    scores = registry.load(model).score(rows).tolist()
    return [each["score"] for each in decisions] == pytest.approx(scores, abs=1e-9)
