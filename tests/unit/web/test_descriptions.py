"""The OpenAPI and AsyncAPI documents are valid and complete."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest
from faust.web.drivers.aiohttp import Web
from jsonschema import Draft202012Validator
from openapi_spec_validator import validate

from fraudapp import __version__
from tests.support.views import Client, ViewBench, view_bench
from web.access import SCOPES

DO = ("POST", "PUT", "PATCH", "DELETE")


async def fetched(client: Client, path: str) -> dict[str, Any]:
    async with client.get(path) as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        return dict(await answer.json())


async def test_openapi_is_valid_and_names_every_route(bench: ViewBench, client: Client) -> None:
    document = await fetched(client, "/openapi.json")
    validate(document)
    assert (document["openapi"], document["info"]["version"]) == ("3.1.0", __version__)
    described = {
        (method.upper(), path)
        for path, operations in document["paths"].items()
        for method in operations
    }
    routes = cast(Web, bench.app.web).web_app.router.routes()
    served = {(each.method, each.resource.canonical) for each in routes if each.resource}
    left_out = {each for each in served if each[0] in ("HEAD", "OPTIONS")}
    assert described == served - left_out - {("GET", "/static/{name}")}


@pytest.mark.parametrize("keys", ["", "reader:read:a-secret-of-a-reader-1"])
async def test_openapi_asks_for_a_key_where_one_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keys: str
) -> None:
    bench = view_bench(tmp_path, monkeypatch, FRAUD_API_KEYS=keys)
    async with bench.served() as client:
        headers = {"Authorization": f"Bearer {keys.rpartition(':')[2]}"}
        async with client.get("/openapi.json", headers=headers) as answer:
            document = await answer.json()
    assert document["security"] == ([{"bearer": []}, {"header": []}] if keys else [])
    assert document["paths"]["/healthz"]["get"]["security"] == []
    approving = document["paths"]["/policy/approvals"]["post"]
    assert approving.get("security") == (
        [{"bearer": ["approve"]}, {"header": ["approve"]}] if keys else None
    )
    assert "`approve`" in approving["description"]


async def test_the_scope_of_every_route_that_does_more_than_read_is_named(
    bench: ViewBench, client: Client
) -> None:
    routes = cast(Web, bench.app.web).web_app.router.routes()
    writing = {each.resource.canonical for each in routes if each.resource and each.method in DO}
    assert writing == SCOPES.keys() | {"/transactions"}


async def test_answers_are_as_openapi_describes_them(bench: ViewBench, client: Client) -> None:
    document = await fetched(client, "/openapi.json")
    for path in (
        "/stats",
        "/stats/details",
        "/stats/form",
        "/policy",
        "/lists",
        "/healthz",
        "/readyz",
    ):
        described = document["paths"][path]["get"]["responses"]["200"]
        schema = described["content"]["application/json"]["schema"]
        of_document = {**schema, "components": document["components"]}
        Draft202012Validator(of_document).validate(await fetched(client, path))


async def test_asyncapi_names_the_topics_and_its_references_lead_somewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = {"transactions": "in", "decisions": "out", "dead_letters": "bad", "control": "rules"}
    names |= {"labels": "said"}
    topics = {f"FRAUD_{name.upper()}_TOPIC": topic for name, topic in names.items()}
    bench = view_bench(tmp_path, monkeypatch, **topics)
    async with bench.served() as client:
        document = await fetched(client, "/asyncapi.json")
    assert (document["asyncapi"], document["info"]["version"]) == ("3.0.0", __version__)
    channels = document["channels"]
    assert {name: each["address"] for name, each in channels.items()} == {
        "transactions": "in",
        "decisions": "out",
        "deadLetters": "bad",
        "labels": "said",
        "labelled": "fraudapp-labelled",
        "control": "rules",
    }
    partitions = {name: each["bindings"]["kafka"]["partitions"] for name, each in channels.items()}
    assert partitions == {**dict.fromkeys(channels, 4), "control": 1}
    actions = {
        (each["channel"]["$ref"].rpartition("/")[2], each["action"])
        for each in document["operations"].values()
    }
    assert actions == {
        ("transactions", "receive"),
        ("decisions", "send"),
        ("deadLetters", "send"),
        ("labels", "receive"),
        ("labels", "send"),
        ("labelled", "send"),
        ("labelled", "receive"),
        ("control", "receive"),
        ("control", "send"),
    }
    references = list(references_in(document))
    assert len(references) > len(channels)
    for reference in references:
        target: Any = document
        for step in reference.removeprefix("#/").split("/"):
            target = target[step]


async def test_examples_of_messages_are_as_their_schemas_say(client: Client) -> None:
    document = await fetched(client, "/asyncapi.json")
    for name in ("Transaction", "Decision", "Label", "Labelled"):
        message = document["components"]["messages"][name]
        schema = {**message["payload"], "components": document["components"]}
        (example,) = message["examples"]
        Draft202012Validator(schema).validate(example["payload"])


async def test_the_docs_are_a_page(client: Client) -> None:
    async with client.get("/docs") as answer:
        assert (answer.status, answer.content_type) == (200, "text/html")
        assert "/static/docs.js" in await answer.text()


def references_in(part: Any) -> list[str]:
    """Every reference in a document."""
    if isinstance(part, dict):
        own = [part["$ref"]] if "$ref" in part else []
        return own + [each for value in part.values() for each in references_in(value)]
    if isinstance(part, list):
        return [each for value in part for each in references_in(value)]
    return []
