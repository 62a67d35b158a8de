"""Health, counts and metrics tell what is in force, and what is wrong with it."""

from __future__ import annotations

from models.control.records import CapKey, Capped, Listed, cap, entry
from models.records import Outcome
from tests.support.decisions import DECIDED_AT
from tests.support.transactions import transaction
from tests.support.views import Client, ViewBench
from tests.unit.web.control.asking import TEXT, WRONG, ask, in_force


async def test_a_worker_whose_policy_does_not_fit_is_ready_and_says_so(
    bench: ViewBench, client: Client
) -> None:
    status, told = await ask(client, "GET", "/readyz")
    assert (status, "notes" in told) == (200, False)
    in_force(bench, WRONG)
    status, told = await ask(client, "GET", "/readyz")
    assert (status, told["status"]) == (200, "ready")
    assert "policy 1 does not fit" in told["notes"][0]
    _, details = await ask(client, "GET", "/stats/details")
    assert details["policy"] == {
        "number": 0,
        "version": "flag-0.5-block-0.8",
        "author": "",
        "at": None,
        "notes": told["notes"],
        "caps": [],
    }


async def test_the_page_of_counts_tells_who_has_put_the_policy_in_force(
    bench: ViewBench, client: Client
) -> None:
    in_force(bench, TEXT)
    _, details = await ask(client, "GET", "/stats/details")
    told = details["policy"]
    assert (told["number"], told["version"], told["author"]) == (1, "1+0", "ann")
    assert told["at"] == "2026-03-04T05:06:07.890000Z"


async def test_a_model_in_shadow_is_told_with_what_has_come_of_it(
    bench: ViewBench, client: Client
) -> None:
    in_force(bench, 'shadow = ["model-of-a-test"]\n')
    challenger = bench.parts.control.models.challenger("model-of-a-test")
    challenger.rows, challenger.agreed, challenger.failures = 7, 5, 2
    _, told = await ask(client, "GET", "/policy")
    assert (told["model"], told["shadow"]) == ("model-of-a-test", ["model-of-a-test"])
    async with client.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    for name, value in (("rows", 7), ("agreed", 5), ("failures", 2)):
        assert f'fraud_shadow_{name}_total{{model="model-of-a-test"}} {value}.0' in lines
    assert 'fraud_shadow_model{model="model-of-a-test"} 1.0' in lines


async def test_metrics_have_number_lists_caps_and_failures(
    bench: ViewBench, client: Client
) -> None:
    id_ = in_force(bench, TEXT.replace("amount > 1_000_000", "1 / oldbalanceDest > 5"))
    begun = Capped(on=True, share=0.5, author="one:1")
    bench.parts.control.take(
        [entry("mules", "C1", Listed(author="ann")), cap(CapKey(id_, "large"), begun)]
    )
    policy = bench.parts.control.in_force
    row = transaction("t", oldbalanceDest=0.0)
    assert policy.rule([row], [0.1], None, DECIDED_AT)[0].outcome is Outcome.APPROVE
    async with client.get("/metrics") as answer:
        lines = (await answer.text()).splitlines()
    assert "fraud_policy_number 1.0" in lines
    assert 'fraud_list_entries{list="mules"} 1.0' in lines
    assert 'fraud_cap_begun{rule="large"} 1.0' in lines
    assert 'fraud_rule_failures_total{rule="large"} 1.0' in lines
    assert 'fraud_rule_hits_total{rule="large"} 0.0' in lines
    bench.worker._parts = None
    async with client.get("/metrics") as answer:
        assert "fraud_policy_number" not in await answer.text()
