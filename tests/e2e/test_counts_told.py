"""Counts that are told are true, from a worker's first answer to its last."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from tests.e2e import kept
from tests.e2e.messages import send_transactions, transaction
from tests.e2e.worker import Worker

COUNT = 400


def answers(worker: Worker, path: str, until: Callable[[], bool]) -> list[tuple[int, Any]]:
    """What it answers again and again, until that is so; what it did not answer is left out."""
    found = []
    while not until():
        status, answer = worker.get(path)
        if status:
            found.append((status, answer))
    return found


async def test_counts_are_told_only_when_all_are_known(worker: Worker) -> None:
    await send_transactions(worker.environment, [transaction(f"t{n}") for n in range(COUNT)])
    await kept.eventually(lambda: worker.stats()["decisions"]["total"] == COUNT)
    paths = ("/stats", "/stats/details")

    async def told(until: Callable[[], bool]) -> list[list[tuple[int, Any]]]:
        with ThreadPoolExecutor(len(paths)) as pool:
            asking = [pool.submit(answers, worker, path, until) for path in paths]
            return [await asyncio.wrap_future(each) for each in asking]

    os.kill(worker.child.pid, signal.SIGTERM)
    stopping = await told(lambda: not worker.child.running)
    shutil.rmtree(worker.data_dir / "faust")
    worker.launch()
    starting = await told(lambda: worker.get("/readyz")[0] == 200)
    for found in (stopping, starting):
        for status, answer in found[0]:
            assert status == 503 or answer["decisions"]["total"] == COUNT
        for status, answer in found[1]:
            assert status == 503 or answer["stats"]["decisions"]["total"] == COUNT
    assert any(status == 503 for status, _ in starting[0])
    assert worker.stats()["decisions"]["total"] == COUNT
