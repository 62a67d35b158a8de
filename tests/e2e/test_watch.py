"""Every worker tells what all models have seen and scored, through crashes and restarts."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from playwright.sync_api import expect

from tests.support import readback
from tests.support.chromium import chromium
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


def test_people_see_on_the_page_what_has_changed(new_worker: Callable[..., Worker]) -> None:
    """The amounts of these transactions are not those of the training, and every fifth drains."""
    worker = new_worker()
    rows = [transaction(f"p-{number}") for number in range(PART)]
    status, _ = worker.post("/transactions", json.dumps(rows).encode())
    assert status == 202
    asyncio.run(tell(PART, worker))
    status, metrics, _ = worker.text("/metrics")
    assert status == 200
    assert 'fraud_watch_alarm{feature="",kind="high_scores"} 1.0' in metrics
    assert 'fraud_watch_alarm{feature="log_amount",kind="feature"} 1.0' in metrics
    complaints: list[str] = []
    with chromium() as browser:
        page = browser.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        expect.set_options(timeout=30_000)
        page.goto(f"{worker.url}/quality")
        expect(page.locator("#watched")).to_contain_text("alarms")
        alarms = page.locator("#alarms")
        expect(alarms).to_contain_text("log_amount has other values than in training: PSI")
        expect(alarms).to_contain_text("What to do: look up what has changed in its fields")
    assert complaints == []
