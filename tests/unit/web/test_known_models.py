"""The models that a worker knows are told with what has come of them in shadow."""

from __future__ import annotations

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


async def test_a_worker_that_has_not_started_does_not_know(
    bench: ViewBench, client: Client
) -> None:
    bench.worker._parts = None
    status, _ = await ask(client, "GET", "/models")
    assert status == 503
