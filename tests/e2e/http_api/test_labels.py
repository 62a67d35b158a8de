"""What became of a transaction is told at one worker, and seen at all of them and in all sinks."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import asyncpg

from tests.support.messages import encoded, transaction
from tests.support.readback import eventually, in_s3, in_topic
from tests.support.worker import Worker

TOLD: dict[str, Any] = {
    "label": 1,
    "source": "chargeback",
    "at": "2026-04-01T08:00:00Z",
    "by": "network",
}
ANALYST: dict[str, Any] = {**TOLD, "label": 0, "source": "analyst", "by": "ann"}


def tell(worker: Worker, id_: str, label: dict[str, Any]) -> None:
    status, answer = worker.post(f"/transaction/{id_}/label", json.dumps(label).encode())
    assert (status, answer["status_url"]) == (202, f"/transaction/{id_}/labels")


def decide(worker: Worker, id_: str) -> None:
    assert worker.post("/transactions?wait_seconds=30", encoded(transaction(id_)))[0] == 200


async def seen(worker: Worker, id_: str, count: int) -> dict[str, Any]:
    """The labels of a transaction, once so many sources have spoken."""

    def found() -> dict[str, Any] | None:
        status, labels = worker.get(f"/transaction/{id_}/labels")
        assert status in (200, 404, 503)
        return labels if status == 200 and len(labels["labels"]) == count else None

    return dict(await eventually(found))


async def rows(environment: dict[str, str]) -> list[tuple[Any, ...]]:
    url = environment["FRAUD_POSTGRES_URL"].replace("+asyncpg", "")
    connection = await asyncpg.connect(url)
    try:
        names = "transaction_id, source, label, by, effective"
        found = await connection.fetch(f"SELECT {names} FROM labels ORDER BY 1, 2")
    finally:
        await connection.close()
    return [tuple(each) for each in found]


async def test_a_label_is_seen_at_every_worker_and_in_every_sink(
    new_worker: Callable[..., Worker],
) -> None:
    one, other = new_worker(), new_worker()
    for id_ in ("early", "late"):
        decide(one, id_)
        tell(one, id_, TOLD)
    tell(other, "early", ANALYST)
    decided_after = "not-decided-yet"
    tell(other, decided_after, ANALYST)
    for worker in (one, other):
        labels = await seen(worker, "early", 2)
        assert (labels["label"], labels["source"], labels["conflicting"]) == (1, "chargeback", True)
        assert labels["labels"]["analyst"] == {
            name: value for name, value in ANALYST.items() if name != "source"
        }
        assert (await seen(worker, "late", 1))["conflicting"] is False
        status, decision = worker.get("/transaction/early/status")
        assert status == 200
        assert decision["label"] == {**TOLD, "conflicting": True}
        assert worker.get(f"/transaction/{decided_after}/labels")[0] == 404
    decide(one, decided_after)
    for worker in (one, other):
        assert (await seen(worker, decided_after, 1))["label"] == 0
    expected = [
        ("early", "analyst", 0, "ann", False),
        ("early", "chargeback", 1, "network", True),
        ("late", "chargeback", 1, "network", True),
        (decided_after, "analyst", 0, "ann", True),
    ]
    await eventually(lambda: asyncio.run(rows(one.environment)) == sorted(expected))
    everything = {"early", "late", decided_after}
    await eventually(lambda: asyncio.run(archived(one.environment)).keys() == everything)
    found = await archived(one.environment)
    assert found["early"]["labels"].keys() == {"chargeback", "analyst"}
    assert found["early"]["decision"]["transaction"] == transaction("early")


async def archived(environment: dict[str, str]) -> dict[str, Any]:
    """By id, the line that counts; those of decisions are in the archive, too."""
    lines = [each for each in await in_s3(environment) if "labels" in each]
    ordered = sorted(lines, key=lambda each: int(each["version"]))
    return {each["decision"]["transaction_id"]: each for each in ordered}


async def test_the_moment_and_the_key_are_told_where_the_caller_does_not(worker: Worker) -> None:
    before = datetime.now(timezone.utc)
    tell(worker, "label-now", {"label": True, "source": "customer", "by": "me"})
    records = await in_topic(worker.environment, "labels")
    (told,) = [json.loads(each.value) for each in records if each.key == b"label-now"]
    at = datetime.fromisoformat(told.pop("at").replace("Z", "+00:00"))
    assert before <= at <= datetime.now(timezone.utc)
    assert told == {"transaction_id": "label-now", "label": 1, "source": "customer", "by": "me"}


def test_what_is_wrong_is_named_and_nothing_is_sent(worker: Worker) -> None:
    status, problem = worker.post("/transaction/label-wrong/label", b'{"label": 2, "at": 1}')
    assert status == 422
    assert [each["field"] for each in problem["errors"]] == ["label", "source", "at", "by"]
    records = asyncio.run(in_topic(worker.environment, "labels"))
    assert b"label-wrong" not in [each.key for each in records]
