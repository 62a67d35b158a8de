"""A decision of the log is explained without a worker, by the model that it names."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from fraudapp.decisions.batch import Batch
from fraudapp.local.processes import free_port
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import load
from fraudapp.sinks.postgres.sink import PostgresSink
from models.records import Decision, Outcome
from models.scorer import Scorer
from tests.support import tiny_model
from tests.support.commanding import Commands
from tests.support.decided import written
from tests.support.decisions import decision
from tests.support.transactions import transaction

RULE = """flag_at = 0.3
[[rules]]
id = "large"
when = "amount > 100"
then = "flag"
mode = "test"
reason = "Large."
owner = "o"
"""


def made_by(scorer: Scorer, id_: str, **changes: Any) -> Decision:
    """An approved decision with the score of a model."""
    row = transaction(id_, type="PAYMENT", amount=250.0, oldbalanceOrg=1e4)
    told = {
        "transaction": row,
        "decision": Outcome.APPROVE,
        "reasons": [],
        "score": float(scorer.score([row])[0]),
        "model_version": scorer.version,
        "policy_version": "1+1",
        "hits": ["large"],
    }
    return decision(id_, **{**told, **changes})


@pytest.fixture
def scorer(worker_environment: dict[str, str]) -> Scorer:
    """A model in the folder of the commands."""
    folder = Path(worker_environment["FRAUD_DATA_DIR"]) / "models"
    return ModelRegistry(folder).load(tiny_model.saved(folder, tiny_model.model()))


@pytest.fixture
def run(worker_environment: dict[str, str], tmp_path: Path, scorer: Scorer) -> Commands:
    run = Commands(worker_environment, tmp_path)
    first = made_by(scorer, "a")
    again = msgspec.structs.replace(first, score=0.999, decision=Outcome.BLOCK)
    others = [made_by(scorer, f"t{number}") for number in range(20)]
    lost = made_by(scorer, "lost", model_version="logistic-0123456789abcdef")
    asyncio.run(written(load(worker_environment), [*others, first, lost, again]))
    run.done("policy", "apply", run.file(RULE))
    return run


def test_the_first_decision_is_told_as_over_http_and_as_a_table(
    run: Commands, scorer: Scorer
) -> None:
    told = json.loads(run.done("explain", "a", "--json"))
    assert (told["decision"], told["model_version"]) == ("APPROVE", scorer.version)
    assert told["recomputed"]["is_same"]
    parts = [*told["for"], *told["against"]]
    total = told["base"]["log_odds"] + sum(each["contribution"] for each in parts)
    assert total == pytest.approx(told["log_odds"], abs=1e-9)
    assert told["policy"]["flag_at"] == 0.3
    assert told["policy"]["hits"] == [{"rule": "large", "then": "flag", "mode": "test"}]
    lines = run.done("explain", "a").splitlines()
    assert lines[0].startswith("a: APPROVE, score ")
    for each in parts:
        (line,) = (line for line in lines if line.startswith(f"  {each['text']}"))
        assert line.endswith(f"{each['contribution']:+.2f}")
    assert lines[-1] == "Rule large hit: flag, in test."


def test_what_is_not_there_or_cannot_be_explained_is_told_with_what_to_do(run: Commands) -> None:
    done = run("explain", "unknown")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "no decision on unknown is in " in done.stderr
    done = run("explain", "lost")
    assert done.exit_code == 1
    assert "by `fraudapp models publish logistic-0123456789abcdef`" in done.stderr


def test_a_model_of_the_topic_explains_where_the_folder_has_none(
    run: Commands, scorer: Scorer, tmp_path: Path
) -> None:
    assert run("explain", "a", FRAUD_DATA_DIR=str(tmp_path / "none")).exit_code == 1
    run.done("models", "publish", scorer.version)
    of_topic = run("explain", "a", "--json", FRAUD_DATA_DIR=str(tmp_path / "none"))
    assert of_topic.stdout == run.done("explain", "a", "--json")


def test_postgres_has_it_too(run: Commands, scorer: Scorer, postgres_url: str) -> None:
    async def keep() -> None:
        sink = PostgresSink(postgres_url)
        await sink.open()
        await sink.save(Batch([made_by(scorer, "a")]))
        await sink.close()

    asyncio.run(keep())
    assert run.done("explain", "a", "--from-postgres") == run.done("explain", "a")
    assert run("explain", "t1", "--from-postgres").exit_code == 1
    nowhere = f"postgresql+asyncpg://fraud@127.0.0.1:{free_port()}/fraud"
    away = run("explain", "a", "--from-postgres", FRAUD_POSTGRES_URL=nowhere)
    assert away.exit_code == 3
    assert "Without --from-postgres, the log is read." in away.stderr
