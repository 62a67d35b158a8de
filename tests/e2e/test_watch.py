"""Every worker tells what all models have seen and scored, through crashes and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tests.support import readback
from tests.support.messages import send_transactions, transaction
from tests.support.worker import Worker

PART = 400
"""Transactions of one step; each is counted before the next, so that no crash costs any."""


async def decide(begin: int, *workers: Worker) -> None:
    """Send transactions, and return once all workers tell that so many were counted."""
    made = [transaction(f"w-{number}") for number in range(begin, begin + PART)]
    await send_transactions(workers[0].environment, made)
    await tell(begin + PART, *workers)


async def tell(rows: int, *workers: Worker) -> None:
    await readback.eventually(lambda: [told(each) for each in workers] == [rows] * len(workers))


def told(worker: Worker) -> int:
    """The rows of all days; none while it does not know."""
    status, watched = worker.get("/watch")
    if status != 200:
        return 0
    return sum(day["rows"] for model in watched["models"] for day in model["days"])


async def test_all_workers_tell_what_all_have_counted(new_worker: Callable[..., Worker]) -> None:
    one = await asyncio.to_thread(new_worker)
    other = await asyncio.to_thread(new_worker)
    await decide(0, one, other)
    await asyncio.to_thread(other.kill)
    await decide(PART, one)
    await asyncio.to_thread(other.start)
    await tell(2 * PART, one, other)
    await asyncio.to_thread(one.terminate)
    await decide(2 * PART, other)
    await asyncio.to_thread(one.start)
    await decide(3 * PART, one, other)

    (model,) = one.get("/watch")[1]["models"]
    assert model["model"] == one.get("/transaction/w-0/status")[1]["model_version"]
    assert model["days"][0]["unjudged"] == ""
    assert len(model["days"][0]["features"]) == 12
    status, metrics, _ = one.text("/metrics")
    assert status == 200
    assert "fraud_watch_alarm" in metrics
