"""A partition without a leader holds up no other, and `/readyz` names it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import psutil
import pytest

from models.key_hash import key_partitions
from tests.servers.choice import real
from tests.servers.kafka_cluster import KafkaCluster
from tests.support import readback
from tests.support.messages import send_transactions, transaction
from tests.support.worker import Worker

pytestmark = pytest.mark.timeout(600)

LEADERLESS = 2
"""The partition of the log whose only replica is on the node that goes down."""
BACKLOG_ROWS = 20_000
"""Transactions, so many that those of one partition do not fit into its queue."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaCluster]:
    cluster = real(KafkaCluster, tmp_path_factory.mktemp("brokers") / "kafka")
    cluster.start()
    yield cluster
    cluster.stop()


@pytest.fixture
def worker_environment(worker_environment: dict[str, str], cluster: KafkaCluster) -> dict[str, str]:
    return {
        **worker_environment,
        "FRAUD_BROKER_URL": cluster.nodes[1].url,
        "FRAUD_TOPIC_REPLICAS": "3",
        "FRAUD_BROKER_SESSION_TIMEOUT": "6",
        "FRAUD_BROKER_HEARTBEAT_INTERVAL": "1",
    }


async def test_a_partition_of_the_log_without_a_leader_stops_no_other(
    new_worker: Callable[..., Worker],
    worker_environment: dict[str, str],
    cluster: KafkaCluster,
) -> None:
    log = worker_environment["FRAUD_DECISIONS_TOPIC"]
    kept_whole = {"cleanup_policy": "delete", "retention_ms": "-1", "retention_bytes": "-1"}
    await cluster.create(log, [[1], [2], [3], [1]], **kept_whole)
    worker = await asyncio.to_thread(new_worker)

    async def decide(name: str, *, all_of_them: bool, count: int = 200) -> int:
        rows = [transaction(f"{name}{number}") for number in range(count)]
        placed = key_partitions([row["transaction_id"] for row in rows], 4)
        await send_transactions(worker.environment, rows)
        return len(rows) if all_of_them else sum(each != LEADERLESS for each in placed)

    async def come_to(total: int) -> None:
        await readback.eventually(lambda: worker.stats()["decisions"]["total"] == total)

    total = await decide("before", all_of_them=True)
    await come_to(total)
    cluster.nodes[3].kill()
    expected = total + await decide("while", all_of_them=False, count=BACKLOG_ROWS)
    await come_to(expected)
    await readback.everywhere(worker.environment, expected)

    def told() -> bool:
        status, answer = worker.get("/readyz")
        named = f"{log}/{LEADERLESS}", f"partition {LEADERLESS} of {log}"
        return status == 503 and any(name in str(answer) for name in named)

    await readback.eventually(told)
    worker.kill()  # whoever starts meanwhile has to read all others in
    await asyncio.to_thread(worker.launch)
    expected += await decide("again", all_of_them=False)
    await readback.eventually(lambda: worker.get("/stats")[0] == 200)
    await come_to(expected)
    await readback.everywhere(worker.environment, expected)
    await readback.eventually(told)
    await asyncio.to_thread(cluster.nodes[3].restart)
    await come_to(400 + BACKLOG_ROWS)
    await readback.everywhere(worker.environment, 400 + BACKLOG_ROWS)
    await readback.eventually(lambda: worker.get("/readyz")[0] == 200)


async def test_what_waits_to_be_counted_is_not_held_in_memory(
    new_worker: Callable[..., Worker],
    worker_environment: dict[str, str],
    cluster: KafkaCluster,
) -> None:
    changelog = f"{worker_environment['FRAUD_APP_ID']}-decision-counts-changelog"
    await cluster.create(changelog, [[3]] * 4, cleanup_policy="compact")
    worker = await asyncio.to_thread(new_worker)
    process = psutil.Process(worker.child.pid)

    async def decide(name: str, count: int) -> None:
        rows = [transaction(f"{name}{number}", note="x" * 100_000) for number in range(count)]
        for at in range(0, count, 100):
            await send_transactions(worker.environment, rows[at : at + 100])

    await decide("warm", 500)
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 500)
    before = process.memory_info().rss
    cluster.nodes[3].kill()
    await decide("cold", 2_500)
    await readback.eventually(
        lambda: len(readback.in_redis(worker.environment)) == 3_000, timeout=120
    )
    assert process.memory_info().rss - before < 150e6  # all that was read: 250 MB
    await asyncio.to_thread(cluster.nodes[3].restart)
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 3_000, timeout=120)
    assert worker.stats()["duplicates"] == 0
    assert worker.child.running
