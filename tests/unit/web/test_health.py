"""Liveness needs only the event loop; readiness names each check that fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from faust.tables.manager import TableManager

from fraudapp.decisions.catch_ups import Unread
from tests.support.views import Client, ViewBench, view_bench
from web.connection import Connection

CHECKS = ("model", "assigned", "recovered", "ledgers", "kafka", "partitions", "running")


def lose_parts(bench: ViewBench) -> None:
    bench.worker._parts = None
    bench.worker.takeover.assigned = ()


def rebalance(bench: ViewBench) -> None:
    bench.app.rebalancing = True


def lose_assignment(bench: ViewBench) -> None:
    bench.app._assignment = None


def recover(bench: ViewBench) -> None:
    bench.app.in_recovery = True


def not_recovered(bench: ViewBench) -> None:
    cast(TableManager, bench.app.tables).recovery.completed.clear()


def fill_disk(bench: ViewBench) -> None:
    recover(bench)
    bench.tables.counts.trouble = "writing counts: the disk is full"
    bench.tables.heartbeats.trouble = "writing heartbeats: the disk is full"


def read_in(bench: ViewBench) -> None:
    del bench.parts.log.indexes[1], bench.parts.log.indexes[3]


def read_in_slowly(bench: ViewBench) -> None:
    read_in(bench)
    bench.parts.log.being_read = {1: Unread(1_234_567, 61.4), 3: Unread(5, None)}
    bench.parts.log.why[3] = "reading partition 3: no leader"


def stop_reading(bench: ViewBench) -> None:
    bench.parts.readability.failing = ["reading the topic: no leader"]
    bench.tables.counts.failing = ["writing the changelog: not allowed"]


def add_partitions(bench: ViewBench) -> None:
    bench.parts.topics.problem = "the topic has more partitions now"


def stop(bench: ViewBench) -> None:
    bench.worker.waiters.close()


@pytest.mark.parametrize(
    ("missing", "check", "told"),
    [
        (lose_parts, "model", "no model is loaded yet"),
        (rebalance, "assigned", "partitions are being assigned"),
        (lose_assignment, "assigned", "partitions are being assigned"),
        (recover, "recovered", "tables are being recovered from their changelogs"),
        (not_recovered, "recovered", "tables are being recovered from their changelogs"),
        (
            fill_disk,
            "recovered",
            "tables are being recovered from their changelogs: writing counts: the disk is full: "
            "writing heartbeats: the disk is full",
        ),
        (read_in, "ledgers", "decision indexes are being read from the log: partitions 1, 3"),
        (
            read_in_slowly,
            "ledgers",
            "decision indexes are being read from the log: partitions 1 (1,234,567 records left, "
            "about 61 s), 3 (5 records left): reading partition 3: no leader",
        ),
        (
            stop_reading,
            "kafka",
            "reading the topic: no leader; writing the changelog: not allowed",
        ),
        (add_partitions, "partitions", "the topic has more partitions now"),
        (stop, "running", "the worker is stopping"),
    ],
)
async def test_each_failing_check_is_reported_by_itself(
    bench: ViewBench, client: Client, missing: Callable[[ViewBench], None], check: str, told: str
) -> None:
    missing(bench)
    async with client.get("/readyz") as answer:
        assert answer.status == 503
        assert answer.content_type == "application/problem+json"
        problem = await answer.json()
    assert problem["checks"] == {each: each != check for each in CHECKS}
    assert problem["detail"] == f"not ready: {told}"


async def test_a_worker_with_all_checks_passed_is_ready(client: Client) -> None:
    async with client.get("/readyz") as answer:
        assert answer.status == 200
        assert await answer.json() == {"status": "ready", "checks": dict.fromkeys(CHECKS, True)}


async def test_a_worker_before_its_start_names_every_failing_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = view_bench(tmp_path, monkeypatch)
    bench.worker.takeover.assigned = (2,)
    async with bench.served() as client, client.get("/readyz") as answer:
        assert answer.status == 503
        problem = await answer.json()
    lacking = {name for name, passed in problem["checks"].items() if not passed}
    assert lacking == {"model", "assigned", "recovered", "ledgers"}
    assert problem["detail"].endswith("decision indexes are being read from the log: partitions 2")


async def test_a_worker_is_alive_whatever_the_state_of_its_sinks(
    bench: ViewBench, client: Client
) -> None:
    redis, postgres, _ = bench.parts.writers
    redis.lag = 5
    postgres.lag, postgres.failure = 12, "postgres: no answer"
    async with client.get("/healthz") as answer:
        assert answer.status == 200
        assert await answer.json() == {
            "status": "alive",
            "stores": {
                "redis": {"behind": 5, "down": False},
                "postgres": {"behind": 12, "down": True},
                "archive": {"behind": 0, "down": False},
            },
        }


async def test_a_worker_without_sinks_yet_is_alive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = view_bench(tmp_path, monkeypatch)
    async with bench.served() as client, client.get("/healthz") as answer:
        assert (answer.status, await answer.json()) == (200, {"status": "alive", "stores": {}})


def trouble_of_the_consumer(bench: ViewBench) -> None:
    bench.consumer.failing = ["a trouble"]


def trouble_of_a_part(name: str) -> Callable[[ViewBench], None]:
    def cause(bench: ViewBench) -> None:
        part: Any = getattr(bench.parts, name)
        part.failing = ["a trouble"]

    return cause


def trouble_of_a_writer(bench: ViewBench) -> None:
    bench.parts.writers[1].failing = ["a trouble"]


@pytest.mark.parametrize(
    "cause",
    [
        trouble_of_the_consumer,
        trouble_of_a_writer,
        *map(trouble_of_a_part, ("readability", "listener", "progress", "producer")),
    ],
)
async def test_every_part_that_talks_to_kafka_is_asked(
    bench: ViewBench, client: Client, cause: Callable[[ViewBench], None]
) -> None:
    cause(bench)
    async with client.get("/readyz") as answer:
        problem = await answer.json()
    assert (answer.status, problem["detail"]) == (503, "not ready: a trouble")


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_health_checks_are_answered_beyond_the_connection_limit(
    bench: ViewBench, client: Client, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Connection, "crowded", True)
    async with client.get(path) as answer:
        assert answer.status == 200
    async with client.get("/stats") as answer:
        assert answer.status == 503
        assert answer.headers["Retry-After"] == "2"
        assert answer.headers["Connection"] == "close"
