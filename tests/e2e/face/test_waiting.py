"""Hundreds wait at once, and each gets its own answer: the decision, or that there is none."""

from __future__ import annotations

import asyncio
import logging
import statistics
from datetime import datetime, timezone
from typing import Any

import aiohttp

from tests.e2e import kept
from tests.e2e.messages import send_transactions, transaction
from tests.e2e.worker import Worker

log = logging.getLogger(__name__)
WAITING = 500


async def test_500_wait_while_decisions_flow_and_all_are_answered(worker: Worker) -> None:
    others = [transaction(f"flow-{number}") for number in range(2_000)]
    waited = [transaction(f"wait-{number}") for number in range(WAITING)]
    delays: list[float] = []

    async def ask(session: aiohttp.ClientSession, row: dict[str, Any]) -> None:
        path = f"/transaction/{row['transaction_id']}/status?wait_seconds=30"
        async with session.get(path) as answer:
            assert answer.status == 200, await answer.text()
            decision = await answer.json()
        now = datetime.now(timezone.utc)
        assert decision["transaction"] == row
        decided_at = datetime.fromisoformat(decision["decided_at"].replace("Z", "+00:00"))
        delays.append((now - decided_at).total_seconds())

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(worker.url, connector=connector) as session:
        asking = [asyncio.create_task(ask(session, row)) for row in waited]
        await kept.eventually(lambda: waiting(worker) == WAITING)
        await send_transactions(worker.environment, [*others, *waited])
        await asyncio.gather(*asking)
    cuts = statistics.quantiles(delays, n=100)
    log.info("decision to answer: p50 %.1f ms, p99 %.1f ms", cuts[49] * 1e3, cuts[98] * 1e3)


def waiting(worker: Worker) -> float:
    _, text, _ = worker.text("/metrics")
    (line,) = [each for each in text.splitlines() if each.startswith("fraud_waiting_callers ")]
    return float(line.split()[1])


async def test_when_the_worker_stops_nobody_is_left_without_answer(worker: Worker) -> None:
    async def ask(session: aiohttp.ClientSession, number: int) -> int:
        path = f"/transaction/never-{number}/status?wait_seconds=30"
        async with session.get(path) as answer:
            return answer.status

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(worker.url, connector=connector) as session:
        stream = await session.get("/stats/stream")
        assert (await stream.content.readline()).startswith(b"data: ")
        asking = [asyncio.create_task(ask(session, number)) for number in range(50)]
        await kept.eventually(lambda: waiting(worker) == 50)
        assert await asyncio.to_thread(worker.terminate) == 0
        assert await asyncio.gather(*asking) == [503] * 50  # their wait was cut short
        while await stream.content.readline():
            pass
    await asyncio.to_thread(worker.start)
