"""Workers that are asked to stop do so soon, and leave the group in good order."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from fraudapp.local.redis import Redis
from tests.servers.kafka import Kafka
from tests.support import readback
from tests.support.messages import send_transactions, transaction
from tests.support.worker import Worker

MAX_STOP_SECONDS = 1.0  # seconds; far below every time-out that could answer in an event's place


@pytest.mark.parametrize("store_down", [False, True])
async def test_a_worker_asked_to_stop_does_so_soon_whoever_waits(
    worker: Worker, redis_server: Redis, store_down: bool
) -> None:
    if store_down:
        redis_server.kill()
        await send_transactions(worker.environment, [transaction("t")])
        await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 1)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(worker.get, "/transaction/never/status?wait_seconds=30")
        await asyncio.sleep(MAX_STOP_SECONDS)
        began = time.monotonic()
        os.kill(worker.child.pid, signal.SIGTERM)
        assert await asyncio.to_thread(worker.child.wait, 20)
        assert time.monotonic() - began < 15
        assert worker.child.returncode == 0
        assert "Crashed" not in worker.log.read_text()
        assert (await asyncio.wrap_future(waiting))[0] in (404, 503)


@pytest.mark.parametrize("trouble", ["kill", "pause"])
@pytest.mark.parametrize(("count", "seconds"), [(10, 0.0), (20_000, 6.0)], ids=["idle", "busy"])
async def test_a_worker_asked_to_stop_does_so_soon_whatever_the_broker_does(
    worker: Worker, kafka: Kafka, trouble: str, count: int, seconds: float
) -> None:
    rows = [transaction(f"t{number}") for number in range(count)]
    await send_transactions(worker.environment, rows)
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] > count // 100)
    getattr(kafka, trouble)()
    try:
        await asyncio.sleep(seconds)
        os.kill(worker.child.pid, signal.SIGTERM)
        assert await asyncio.to_thread(worker.child.wait, 12)
    finally:
        await asyncio.to_thread(kafka.revive)
    assert worker.child.returncode == 0
    await asyncio.to_thread(worker.start)
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == len(rows))


async def test_workers_asked_to_stop_together_leave_in_good_order(
    new_worker: Callable[..., Worker],
) -> None:
    workers = [await asyncio.to_thread(new_worker) for _ in range(2)]
    rows = [transaction(f"t{number}") for number in range(5_000)]
    await send_transactions(workers[0].environment, rows)
    await readback.eventually(lambda: workers[0].stats()["decisions"]["total"] > 100)
    for worker in workers:
        os.kill(worker.child.pid, signal.SIGTERM)
    for worker in workers:
        assert await asyncio.to_thread(worker.child.wait, 15)
        assert worker.child.returncode == 0
        assert "still not stopped" not in worker.log.read_text()
