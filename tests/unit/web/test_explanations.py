"""Decisions are explained over HTTP, approved ones too."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from fraudapp.control.model_shelf import ModelShelf
from fraudapp.model_registry import ModelRegistry
from models.records import Decision, Outcome
from models.schema.schema import PAYSIM, named
from models.scorer import Scorer
from tests.support import tiny_model
from tests.support.decisions import decision
from tests.support.tiny_model import none_archived
from tests.support.transactions import transaction
from tests.support.views import Client, ViewBench
from web import openapi_explained
from web.openapi import ID


@pytest.fixture
def scorer(bench: ViewBench, tmp_path: Path) -> Scorer:
    """The worker's own."""
    root = tmp_path / "made"
    made = ModelRegistry(root).load(tiny_model.saved(root, tiny_model.model()))
    bench.parts.control.models = ModelShelf(made, PAYSIM, {}, none_archived())
    return made


def approved(scorer: Scorer, id_: str = "t1") -> Decision:
    each = transaction(id_, type="PAYMENT", amount=250.0, oldbalanceOrg=1e4)
    (score,) = scorer.score([each])
    return decision(
        id_,
        transaction=each,
        decision=Outcome.APPROVE,
        reasons=[],
        score=float(score),
        model_version=scorer.version,
        policy_version="flag-0.5-block-0.8",
    )


async def got(client: Client, path: str) -> tuple[int, Any]:
    async with client.get(path) as answer:
        return answer.status, await answer.json(content_type=None)


async def test_an_approved_transaction_is_explained(
    bench: ViewBench, client: Client, scorer: Scorer
) -> None:
    bench.decide(approved(scorer))
    status, told = await got(client, "/transaction/t1/explain")
    assert (status, told["decision"], told["recomputed"]["is_same"]) == (200, "APPROVE", True)
    parts = [*told["for"], *told["against"]]
    total = told["base"]["log_odds"] + sum(part["contribution"] for part in parts)
    assert total == pytest.approx(told["log_odds"], abs=1e-12)
    share = next(part for part in parts if part["code"] == "SHARE_OF_BALANCE")
    assert share["values"] == {"amount": 250.0, "oldbalanceOrg": 1e4, "type": "PAYMENT"}


async def test_an_answer_is_as_openapi_describes_it(
    bench: ViewBench, client: Client, scorer: Scorer
) -> None:
    bench.decide(approved(scorer))
    _, document = await got(client, "/openapi.json")
    described = document["paths"]["/transaction/{transaction_id}/explain"]["get"]["responses"]
    content = described["200"]["content"]["application/json"]
    schema = {**content["schema"], "components": document["components"]}
    for answer in ((await got(client, "/transaction/t1/explain"))[1], content["example"]):
        Draft202012Validator(schema).validate(answer)


@pytest.mark.parametrize("name", ["paysim", "cards", "pacs008"])
def test_the_example_adds_up_in_every_schema(name: str) -> None:
    paths = openapi_explained.paths(ID, named(name))
    answers = paths["/transaction/explain"]["get"]["responses"]
    told = answers["200"]["content"]["application/json"]["example"]
    parts = [*told["for"], *told["against"]]
    total = told["base"]["log_odds"] + sum(part["contribution"] for part in parts)
    assert total == pytest.approx(told["log_odds"])
    assert told["for"]
    assert told["against"]
    assert told["recomputed"]["is_same"]


async def test_an_id_that_a_path_cannot_hold_is_explained_by_query(
    bench: ViewBench, client: Client, scorer: Scorer
) -> None:
    bench.decide(approved(scorer, ".."))
    status, told = await got(client, "/transaction/explain?transaction_id=..")
    assert (status, told["transaction_id"]) == (200, "..")


async def test_what_has_no_decision_is_answered_as_its_status_is(
    bench: ViewBench, client: Client
) -> None:
    bench.parts.pending.known = {"pending"}
    for id_, status in (("pending", 202), ("unknown", 404), ("x" * 129, 404)):
        explained = await got(client, f"/transaction/{id_}/explain")
        assert explained[0] == status
        told = (await got(client, f"/transaction/{id_}/status"))[1]
        assert {**explained[1], "request_id": ""} == {**told, "request_id": ""}


async def test_a_model_that_is_not_here_is_a_conflict_that_says_what_to_do(
    bench: ViewBench, client: Client, scorer: Scorer
) -> None:
    bench.decide(decision(model_version="logistic-0123456789ab"))
    status, problem = await got(client, "/transaction/t1/explain")
    assert (status, problem["status"]) == (409, 409)
    assert problem["model_version"] == "logistic-0123456789ab"
    assert "fraudapp models publish logistic-0123456789ab" in problem["detail"]
