"""Hundreds of callers wait at once, and each gets its own answer."""

from __future__ import annotations

import asyncio
from datetime import datetime, timezone
from typing import Any

import aiohttp

from tests.e2e.callers import all_waiting
from tests.support.messages import send_transactions, transaction
from tests.support.worker import Worker

WAITING = 500


async def test_500_wait_while_decisions_flow_and_all_are_answered(worker: Worker) -> None:
    others = [transaction(f"flow-{number}") for number in range(2_000)]
    waited = [transaction(f"wait-{number}") for number in range(WAITING)]
    last = transaction("wait-longest")

    async def ask(session: aiohttp.ClientSession, row: dict[str, Any]) -> datetime:
        path = f"/transaction/{row['transaction_id']}/status?wait_seconds=30"
        async with session.get(path) as answer:
            assert answer.status == 200, await answer.text()
            decision = await answer.json()
        assert decision["transaction"] == row
        decided_at = datetime.fromisoformat(decision["decided_at"].replace("Z", "+00:00"))
        assert decided_at <= datetime.now(timezone.utc)
        return decided_at

    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(worker.url, connector=connector) as session:
        longest = asyncio.create_task(ask(session, last))
        await all_waiting(worker, 1)
        asking = [asyncio.create_task(ask(session, row)) for row in waited]
        await all_waiting(worker, 1 + WAITING)
        before_sending = datetime.now(timezone.utc)
        await send_transactions(worker.environment, [*others, *waited])
        # What is answered was decided while they all waited already.
        assert min(await asyncio.gather(*asking)) >= before_sending
        # The decision has woken them, not the end of their wait: that of the longest comes first.
        assert not longest.done()
        await send_transactions(worker.environment, [last])
        assert await longest >= before_sending


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
        await all_waiting(worker, 50)
        assert await asyncio.to_thread(worker.terminate) == 0
        assert await asyncio.gather(*asking) == [503] * 50  # their wait was cut short
        while await stream.content.readline():
            pass
    await asyncio.to_thread(worker.start)
