"""Every expression of dashboards and alerts finds its metrics at a worker with keys."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fraudapp.local.redis import Redis
from tests.deployment.expressions import Asked, asked
from tests.servers.choice import real
from tests.servers.prometheus import Prometheus
from tests.support import readback
from tests.support.messages import encoded, send, send_transactions, transaction
from tests.support.shadowed import put_in_shadow
from tests.support.worker import Worker

KEY = "hunter2-may-only-read"
KEYS = f"prometheus:read:{KEY},caller:read+write:hunter3-may-do-everything"


@pytest.fixture
def watched(new_worker: Callable[..., Worker], redis_server: Redis, tmp_path: Path) -> Worker:
    """A worker that has decided, rejected, answered again, failed and refused; one is in shadow."""
    worker = new_worker(FRAUD_API_KEYS=KEYS)
    put_in_shadow(worker, tmp_path / "made")
    rows = [transaction(f"t{number}", isFlaggedFraud=number % 2) for number in range(20)]
    asyncio.run(send_transactions(worker.environment, rows))
    asyncio.run(send(worker.environment, [(b"bad", b"{"), (b"t1", encoded(rows[1]))]))
    redis_server.stop()
    asyncio.run(send_transactions(worker.environment, [transaction("late")]))
    failed = 'fraud_store_errors_total{store="redis"}'
    asyncio.run(readback.eventually(lambda: float(exposed(worker).get(failed, 0)) > 0))
    redis_server.start()
    of_a_feature = 'fraud_watch_alarm{feature="log_amount",kind="feature"}'
    asyncio.run(readback.eventually(lambda: of_a_feature in exposed(worker)))
    assert worker.get("/stats")[0] == 401
    return worker


@pytest.fixture
def prometheus(watched: Worker, tmp_path: Path) -> Iterator[Prometheus]:
    port = int(watched.environment["FRAUD_WEB_PORT"])
    server = real(lambda folder: Prometheus(folder, port, KEY), tmp_path / "prometheus")
    server.start()
    yield server
    server.stop()


def exposed(worker: Worker) -> dict[str, str]:
    """Series and values that the worker tells."""
    status, text, _ = worker.text("/metrics", Authorization=f"Bearer {KEY}")
    assert status == 200
    lines = (line for line in text.splitlines() if not line.startswith("#"))
    return {line.rpartition(" ")[0]: line.rpartition(" ")[2] for line in lines}


def test_prometheus_gets_all_that_dashboards_and_alerts_ask_for(
    watched: Worker, prometheus: Prometheus
) -> None:
    assert watched.text("/metrics")[0] == 401
    scrapes = 'sum_over_time(up{job="fraudapp"}[1h])'
    asyncio.run(readback.eventually(lambda: (prometheus.value(scrapes) or 0) >= 3))
    everything = list(asked())
    assert len(everything) > 30
    for each in everything:
        prometheus.ask("query", query=each.expression)  # raises if it is not understood
        for problem in problems(each, prometheus):
            pytest.fail(f"{each.expression}: {problem}")
    assert not list(problems(Asked("fraud_store_up", {"store"}), prometheus))
    assert list(problems(Asked("fraud_store_up", {"partition"}), prometheus))
    assert list(problems(Asked('fraud_store_up{store="tape"}', set()), prometheus))
    assert list(problems(Asked("rate(fraud_process_cpu_seconds_total[1m])", set()), prometheus))


WHEN_NEEDED = (
    "ALERTS",
    "fraud_cap_begun",
    "fraud_expected_precision",
    "fraud_observed_precision",
    "fraud_rule_failures_total",
    "fraud_webhook_oldest_undelivered_seconds",
)
"""What there is none of while all is well, nobody is to be told, or nothing is known yet."""


def problems(of: Asked, prometheus: Prometheus) -> Iterator[str]:
    """What there is not of it."""
    labels: set[str] = set()
    for selector, name in of.selectors().items():
        if name in WHEN_NEEDED:
            continue
        # What matches a pattern, such as failures of our own, need not have happened.
        found = prometheus.ask("series", **{"match[]": name if "=~" in selector else selector})
        if not found:
            yield f"there is no {selector}"
        labels |= {label for series in found for label in series}
    if labels and not of.labels() <= labels:
        yield f"nothing has the label {of.labels() - labels}"
