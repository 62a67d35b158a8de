"""The models that a worker knows are told with what has come of them in shadow."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.control.records import Archived, distribution
from tests.support import tiny_model
from tests.support.views import Client, ViewBench
from tests.unit.web.control.asking import ask, in_force


async def test_without_a_policy_the_workers_own_decides(bench: ViewBench, client: Client) -> None:
    status, told = await ask(client, "GET", "/models")
    assert status == 200
    (own,) = told["models"]
    assert own == {
        "version": "model-of-a-test",
        "decides": True,
        "in_shadow": False,
        "canary": 0.0,
        "since": None,
        "is_own": True,
        "published": False,
        "author": "",
        "note": "",
        "rows": 0,
        "agreed": 0,
        "failures": 0,
        "problem": "",
    }


async def test_what_has_come_of_a_model_in_shadow_is_told(bench: ViewBench, client: Client) -> None:
    in_force(bench, 'shadow = ["model-of-a-test"]\n')
    counted = bench.parts.control.models.challenger("model-of-a-test")
    counted.rows, counted.agreed, counted.failures, counted.problem = 9, 7, 1, "ValueError: no"
    _, told = await ask(client, "GET", "/models")
    (own,) = told["models"]
    assert (own["decides"], own["in_shadow"], own["rows"], own["agreed"]) == (True, True, 9, 7)
    assert (own["failures"], own["problem"]) == (1, "ValueError: no")


async def test_the_share_of_senders_is_told_of_the_canary_alone(
    bench: ViewBench, client: Client, tmp_path: Path
) -> None:
    control = bench.parts.control
    made = [tiny_model.saved(tmp_path, tiny_model.model(weight)) for weight in (0.5, -0.25)]
    control.known.models.update((each, tiny_model.distributed(tmp_path, each)) for each in made)
    in_force(bench, f"shadow = {made[:1]}\ncanary = 0.25\n")
    _, told = await ask(client, "GET", "/models")
    shares = {each["version"]: each["canary"] for each in told["models"]}
    assert shares == {"model-of-a-test": 0.0, made[0]: 0.25, made[1]: 0.0}


async def test_it_is_told_since_when_a_model_serves(
    bench: ViewBench, client: Client, tmp_path: Path
) -> None:
    control = bench.parts.control
    made = [tiny_model.saved(tmp_path, tiny_model.model(weight)) for weight in (0.5, -0.25)]
    control.known.models.update((each, tiny_model.distributed(tmp_path, each)) for each in made)
    one, other = made
    texts = (
        f'shadow = ["{one}"]\n',
        f'model = "{one}"\nshadow = ["{other}"]\n',
        f'model = "{one}"\n',
        f'model = "{one}"\nshadow = ["{other}"]\n',
        f'model = "{one}"\nshadow = ["{other}", "model-of-a-test"]\n',
    )
    for number, text in enumerate(texts, 1):
        in_force(bench, text, number)
        control.known.chain.members[-1].written_at = number * 1_000
    _, told = await ask(client, "GET", "/models")
    assert [(each["version"], each["since"]) for each in told["models"]] == [
        (one, "1970-01-01T00:00:02Z"),
        ("model-of-a-test", "1970-01-01T00:00:05Z"),
        (other, "1970-01-01T00:00:04Z"),
    ]
    in_force(bench, f'shadow = ["{other}"]\n', 6)
    control.known.chain.members[-1].written_at = 6_000
    _, told = await ask(client, "GET", "/models")
    assert {each["version"]: each["since"] for each in told["models"]} == {
        "model-of-a-test": "1970-01-01T00:00:06Z",
        other: "1970-01-01T00:00:04Z",
        one: None,
    }


async def test_a_worker_that_has_not_started_does_not_know(
    bench: ViewBench, client: Client
) -> None:
    bench.worker._parts = None
    status, _ = await ask(client, "GET", "/models")
    assert status == 503


async def test_it_is_told_why_a_model_of_the_archive_is_not_here(
    bench: ViewBench, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    control = bench.parts.control
    control.take([distribution("large-1", Archived.of(b"1", b"{}", author="ann"))])
    told_of = {"large-1": "it is away"}
    monkeypatch.setattr(control.models, "trouble", lambda version: told_of.get(version, ""))
    _, told = await ask(client, "GET", "/models")
    large = told["models"][1]
    assert (large["version"], large["published"], large["author"]) == ("large-1", True, "ann")
    assert large["problem"] == "it is away"
