"""`/stats` is exact or 503, from the first answer of a worker to its last."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import Awaitable
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from tests.support import readback
from tests.support.messages import send_transactions, transaction
from tests.support.worker import Worker

COUNT = 400


def answers(worker: Worker, path: str, ended: Event) -> list[tuple[int, Any]]:
    """Answers to repeated requests, without those that failed."""
    found = []
    while not ended.is_set():
        status, answer = worker.get(path)
        if status:
            found.append((status, answer))
    return found


async def told(worker: Worker, meanwhile: Awaitable[Any]) -> list[tuple[int, int | None]]:
    """Status and total of each answer for as long as that takes."""
    ended = Event()
    with ThreadPoolExecutor(2) as pool:
        counts = pool.submit(answers, worker, "/stats", ended)
        details = pool.submit(answers, worker, "/stats/details", ended)
        await meanwhile
        ended.set()
        found = [*counts.result(), *details.result()]
    return [(status, total(answer) if status == 200 else None) for status, answer in found]


def total(answer: Any) -> int:
    """The total in either document."""
    return int(answer.get("stats", answer)["decisions"]["total"])


async def test_stats_are_refused_until_all_counts_are_known(worker: Worker) -> None:
    await send_transactions(worker.environment, [transaction(f"t{n}") for n in range(COUNT)])
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == COUNT)
    os.kill(worker.child.pid, signal.SIGTERM)
    stopping = await told(worker, asyncio.to_thread(worker.child.wait, 30))
    shutil.rmtree(worker.data_dir / "faust")
    starting = await told(worker, asyncio.to_thread(worker.start))
    true = 200, COUNT
    assert {status for status, _ in starting} == {200, 503}
    assert {each for each in (*stopping, *starting) if each[0] != 503} == {true}
    assert worker.stats()["decisions"]["total"] == COUNT
