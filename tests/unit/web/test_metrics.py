"""The metrics are of the partitions that this worker owns, at the moment they are asked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.counts import Counts
from tests.support.views import GENERATION, Client, ViewBench, view_bench


async def samples(client: Client) -> dict[str, float]:
    async with client.get("/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        text = await answer.text()
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


async def test_metrics_have_the_counts_of_own_partitions_only(
    bench: ViewBench, client: Client
) -> None:
    bench.own(0, 1)
    bench.tables.counts.values = {
        0: Counts(9, {"APPROVE": 5, "duplicate": 2, "conflict": 1}),
        1: Counts(4, {"BLOCK": 3}),
        2: Counts(8, {"APPROVE": 100}),
    }
    bench.consumer.ends = {0: 15, 1: 5, 2: 50}
    told = await samples(client)
    decisions = {
        name: value for name, value in told.items() if name.startswith("fraud_decisions_total")
    }
    assert decisions == {
        f'fraud_decisions_total{{outcome="{outcome}",partition="{partition}"}}': value
        for partition, values in (("0", (5, 0, 0)), ("1", (0, 0, 3)))
        for outcome, value in zip(("APPROVE", "FLAG", "BLOCK"), values, strict=True)
    }
    assert told['fraud_duplicates_total{partition="0"}'] == 2
    assert told['fraud_dead_letters_total{partition="0",reason="conflict"}'] == 1
    assert told['fraud_consumer_lag_messages{partition="0"}'] == 5
    assert told['fraud_consumer_lag_messages{partition="1"}'] == 0
    assert 'fraud_consumer_lag_messages{partition="2"}' not in told


async def test_partitions_that_are_being_assigned_are_nobodys(
    bench: ViewBench, client: Client
) -> None:
    bench.tables.counts.values = {0: Counts(9, {"APPROVE": 5})}
    bench.consumer.ends = {0: 10}
    bench.app.consumer_generation_id = GENERATION + 1
    told = await samples(client)
    assert not [name for name in told if name.startswith("fraud_decisions_total")]
    assert [name for name in told if name.startswith("fraud_store_up")]


async def test_metrics_have_sinks_versions_and_waiting_callers(
    bench: ViewBench, client: Client
) -> None:
    bench.parts.writers[1].lag, bench.parts.writers[1].failure = 12, "postgres: no answer"
    with bench.worker.waiters.subscribe("one"), bench.worker.waiters.subscribe("other"):
        told = await samples(client)
    assert told['fraud_store_behind_decisions{store="postgres"}'] == 12
    assert told['fraud_store_up{store="postgres"}'] == 0
    assert told['fraud_store_up{store="redis"}'] == 1
    policy = bench.parts.control.in_force.version
    assert told[f'fraud_model_info{{policy="{policy}",version="model-of-a-test"}}'] == 1
    assert told["fraud_waiting_callers"] == 2


async def test_before_the_start_there_are_no_worker_metrics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = view_bench(tmp_path, monkeypatch)
    async with bench.served() as client:
        told = await samples(client)
    assert "fraud_decision_latency_seconds_count" in told
    assert "fraud_waiting_callers" not in told


async def test_requests_are_counted_by_route_and_not_by_path(client: Client) -> None:
    before = await samples(client)
    for path in ("/transaction/a/status", "/transaction/b/status", "/nowhere", "/neither"):
        async with client.get(path) as answer:
            assert answer.status == 404
    async with client.request("PROPFIND", "/nowhere") as answer:
        assert answer.status == 404
    after = await samples(client)
    grown = {name: value - before.get(name, 0) for name, value in after.items()}
    requests = {
        name: count
        for name, count in grown.items()
        if name.startswith("fraud_http_requests_total") and count and '"/metrics"' not in name
    }
    status = "/transaction/{transaction_id}/status"
    assert requests == {
        f'fraud_http_requests_total{{method="GET",route="{status}",status="404"}}': 2,
        'fraud_http_requests_total{method="GET",route="(none)",status="404"}': 2,
        'fraud_http_requests_total{method="(other)",route="(none)",status="404"}': 1,
    }
    assert grown[f'fraud_http_request_seconds_count{{route="{status}"}}'] == 2
