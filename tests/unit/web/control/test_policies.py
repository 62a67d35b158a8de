"""A policy comes in force in the place of the one that its author has seen, or not at all."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

from models.activity import Activity
from models.control.records import Proposed, proposal
from models.policies.definition import PolicyFile
from models.policies.reading import read
from models.schema.schema import PAYSIM
from tables.heartbeats import Heartbeat
from tests.support.views import PATIENCE, Client, ViewBench
from tests.unit.web.control.asking import OTHER, TEXT, WRONG, ask, in_force
from web.control import requests

FIRST = {"If_Match": '""', "Content_Type": "application/toml"}


def heartbeat(worker: str, version: str) -> Heartbeat:
    return Heartbeat(
        worker=worker,
        at=1.0,
        cursor=0,
        high_water=None,
        latency={},
        stores={},
        model_version="m",
        policy_version=version,
        activity=Activity(),
    )


async def test_before_any_policy_the_thresholds_of_the_settings_are_told(client: Client) -> None:
    async with client.get("/policy") as answer:
        told = await answer.json()
    assert (answer.status, answer.headers["ETag"]) == (200, '""')
    assert (told["number"], told["id"], told["in_force"]) == (0, "", True)
    assert read(told["text"].encode(), PAYSIM) == PolicyFile()
    assert told["version"] == "flag-0.5-block-0.8"


async def test_what_is_in_force_is_told_with_its_author_and_lists(
    bench: ViewBench, client: Client
) -> None:
    id_ = in_force(bench, TEXT + OF_MULES)
    async with client.get("/policy") as answer:
        told = await answer.json()
    assert answer.headers["ETag"] == f'"{id_}"'
    assert told == {
        "id": id_,
        "number": 1,
        "author": "ann",
        "at": "2026-03-04T05:06:07.890000Z",
        "note": "why",
        "approved_by": None,
        "approval_note": "",
        "text": TEXT + OF_MULES,
        "in_force": True,
        "version": "1+0",
        "explore": 0.0,
        "canary": 0.0,
        "model": "model-of-a-test",
        "shadow": [],
        "caps": [],
        "lists": {"mules": 0},
        "notes": [],
    }


OF_MULES = """
[lists.mules]
field = "nameDest"
then = "block"
reason = "A mule."
owner = "fraud"
"""


async def test_a_policy_that_does_not_fit_is_told_as_the_parent_of_the_next(
    bench: ViewBench, client: Client
) -> None:
    in_force(bench, TEXT)
    second = in_force(bench, WRONG, 2)
    status, told = await ask(client, "GET", "/policy")
    assert (status, told["id"], told["in_force"], told["version"]) == (200, second, False, "1+0")
    assert "policy 2 does not fit" in told["notes"][0]


@pytest.mark.parametrize(
    ("path", "headers", "body"),
    [
        ("/policy?note=quieter", FIRST, TEXT),
        ("/policy?note=quieter", {**FIRST, "Content_Type": "text/plain; charset=utf-8"}, TEXT),
        ("/policy", {}, {"text": TEXT, "note": "quieter", "parent": ""}),
        ("/policy", {}, {"text": TEXT, "note": "quieter", "parent": 0}),
        ("/policy", {"If_Match": 'W/""'}, {"text": TEXT, "note": "quieter"}),
        ("/policy", {"If_Match": "*"}, {"text": TEXT, "note": "quieter"}),
    ],
)
async def test_a_policy_comes_in_force_in_the_place_of_its_parent(
    bench: ViewBench, client: Client, path: str, headers: dict[str, str], body: Any
) -> None:
    status, told = await ask(client, "PUT", path, body, **headers)
    assert (status, told["number"], told["in_force"]) == (200, 1, True)
    assert (told["text"], told["note"], told["author"]) == (TEXT, "quieter", "anonymous")
    status, second = await ask(client, "PUT", "/policy", {"text": OTHER, "parent": told["id"]})
    assert (status, second["number"], second["text"]) == (200, 2, OTHER)
    status, third = await ask(client, "PUT", "/policy", {"text": TEXT, "parent": 2})
    assert (status, third["number"]) == (200, 3)


async def test_without_a_parent_nothing_is_written(bench: ViewBench, client: Client) -> None:
    for body in (TEXT, {"text": TEXT}):
        headers = {"Content_Type": "application/toml"} if isinstance(body, str) else {}
        status, told = await ask(client, "PUT", "/policy", body, **headers)
        assert status == 428
        assert "which policy this one takes the place of" in told["detail"]
    assert bench.parts.control.known.next_offset == 0


async def test_a_policy_that_is_wrong_is_told_with_line_and_column(
    bench: ViewBench, client: Client
) -> None:
    status, told = await ask(client, "PUT", "/policy", WRONG, **FIRST)
    assert status == 422
    (error,) = told["errors"]
    assert (error["field"], error["rule"], error["line"], error["column"]) == (
        "text",
        "large",
        6,
        9,
    )
    assert error["problem"] in told["detail"]
    assert bench.parts.control.known.next_offset == 0


@pytest.mark.parametrize("parent", ["f" * 32, 7, -1, "no id at all", '"'])
async def test_the_parent_has_to_be_in_force(
    bench: ViewBench, client: Client, parent: str | int
) -> None:
    first = in_force(bench, TEXT)
    status, told = await ask(client, "PUT", "/policy", {"text": OTHER, "parent": parent})
    assert (status, told["policy"]["id"], told["policy"]["text"]) == (409, first, TEXT)
    assert bench.parts.control.known.next_offset == 1


async def test_of_two_at_once_the_first_in_the_log_is_in_force(
    bench: ViewBench, client: Client
) -> None:
    other = Proposed(parent="", text=OTHER, author="bob")
    bench.parts.control.others = [proposal("b" * 32, other)]
    status, told = await ask(client, "PUT", "/policy", TEXT, **FIRST)
    assert (status, told["policy"]["author"], told["policy"]["number"]) == (409, "bob", 1)
    _, history = await ask(client, "GET", "/policy/history")
    assert [each["fate"] for each in history["policies"]] == ["too late", "in the chain"]


@pytest.mark.parametrize(
    ("headers", "body", "status", "field"),
    [
        ({"If_Match": "abc"}, {"text": TEXT}, 422, "If-Match"),
        ({"If_Match": '"a", "b"'}, {"text": TEXT}, 422, "If-Match"),
        ({}, {"text": TEXT, "parent": 1.5}, 422, "parent"),
        ({}, {"text": TEXT, "parent": "", "more": 1}, 422, ""),
        ({}, {"parent": ""}, 422, ""),
        ({}, {"text": TEXT, "parent": "", "note": "x" * 1_001}, 422, "note"),
        ({"Content_Type": "application/json"}, "{", 422, ""),
        ({"Content_Type": "application/json"}, "[" * 5_000, 422, ""),
        (FIRST, b"\xff", 422, "text"),
        ({"If_Match": '""', "Content_Type": "text/html"}, TEXT, 415, None),
        ({"If_Match": '""', "Content_Type": "application/toml; charset=latin-1"}, TEXT, 415, None),
    ],
)
async def test_a_request_that_is_none_changes_nothing(
    bench: ViewBench,
    client: Client,
    headers: dict[str, str],
    body: Any,
    status: int,
    field: str | None,
) -> None:
    got, told = await ask(client, "PUT", "/policy", body, **headers)
    assert got == status
    if field is not None:
        assert told["errors"][0]["field"] == field
    assert bench.parts.control.known.next_offset == 0


async def test_who_waits_is_told_when_all_workers_have_it(bench: ViewBench, client: Client) -> None:
    beats = bench.tables.heartbeats.values
    beats.update({0: heartbeat("one:1", "1+0"), 1: heartbeat("other:2", "flag-0.5-block-0.8")})
    status, told = await ask(client, "PUT", "/policy", TEXT, **FIRST)
    assert (status, told["acknowledged"], told["lagging"]) == (200, False, ["other:2"])
    beats[0] = heartbeat("one:1", "2+9")
    body = {"text": OTHER, "parent": 1}
    asked = asyncio.ensure_future(ask(client, "PUT", "/policy?wait_seconds=30", body))
    while len(bench.parts.control.known.chain.members) < 2:
        await asyncio.sleep(0)
    assert not asked.done()
    beats[1] = heartbeat("other:2", "3+1")
    status, told = await asyncio.wait_for(asked, PATIENCE)
    assert (status, told["acknowledged"], told["lagging"]) == (200, True, [])


async def test_a_worker_that_stops_lets_nobody_wait(bench: ViewBench, client: Client) -> None:
    bench.tables.heartbeats.values[0] = heartbeat("one:1", "no policy")
    asked = asyncio.ensure_future(ask(client, "PUT", "/policy?wait_seconds=30", TEXT, **FIRST))
    while not bench.parts.control.known.chain.members:
        await asyncio.sleep(0)
    bench.worker.waiters.close()
    status, told = await asyncio.wait_for(asked, PATIENCE)
    assert (status, told["acknowledged"]) == (200, False)


async def test_without_an_answer_of_kafka_the_outcome_is_unknown(
    bench: ViewBench, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(requests, "SUBMIT_TIMEOUT", 0.01)
    bench.parts.control.gate.clear()
    async with client.put("/policy", json={"text": TEXT, "parent": 5}) as answer:
        assert (answer.status, answer.headers["Retry-After"]) == (503, "2")
        assert "may happen yet" in (await answer.json())["detail"]


async def test_earlier_policies_are_there_by_number_and_by_id(
    bench: ViewBench, client: Client
) -> None:
    first = in_force(bench, TEXT)
    second = in_force(bench, OTHER, 2)
    for name in ("1", "01", first):
        status, told = await ask(client, "GET", f"/policy/versions/{name}")
        assert (status, told["text"], told["number"], told["parent"]) == (200, TEXT, 1, "")
    status, told = await ask(client, "GET", f"/policy/versions/{second}")
    assert (status, told["number"], told["parent"]) == (200, 2, first)
    status, told = await ask(client, "GET", "/policy/versions/0")
    assert (status, told["number"]) == (200, 0)
    for name in ("3", "-1", "x", "1" * 32, "\u00b2", "9" * 5_000):
        assert (await ask(client, "GET", f"/policy/versions/{name}"))[0] == 404


async def test_the_history_is_bounded_and_begins_with_the_newest(
    bench: ViewBench, client: Client
) -> None:
    for number in range(1, 6):
        in_force(bench, f"flag_at = 0.{number}\n", number)
    status, told = await ask(client, "GET", "/policy/history?limit=3")
    assert (status, [each["number"] for each in told["policies"]]) == (200, [5, 4, 3])
    assert "text" not in told["policies"][0]
    assert len((await ask(client, "GET", "/policy/history"))[1]["policies"]) == 5
    for limit in ("0", "-1", "1001", "x", "1.5", "", "\u00b2"):
        status, told = await ask(client, "GET", f"/policy/history?limit={limit}")
        assert (status, told["errors"][0]["field"]) == (422, "limit")


async def test_people_get_a_page_that_holds_no_policy(bench: ViewBench, client: Client) -> None:
    in_force(bench, TEXT)
    async with client.get("/policy", headers={"Accept": "text/html"}) as answer:
        page = await answer.text()
    assert (answer.status, answer.content_type) == (200, "text/html")
    assert "/static/policy.js" in page
    assert "payments" not in page
    assert "Accept" in answer.headers["Vary"]
    assert not re.search(r"<script(?![^>]*src=)", page)


async def test_a_worker_that_has_not_started_knows_no_policy(
    bench: ViewBench, client: Client
) -> None:
    bench.worker._parts = None
    for path in ("/policy", "/policy/history", "/policy/versions/1", "/lists", "/lists/mules"):
        assert (await ask(client, "GET", path))[0] == 503
