"""Callers over HTTP who wait for decisions, as a worker counts them."""

from __future__ import annotations

from tests.support import readback
from tests.support.worker import Worker


def waiting(worker: Worker) -> float:
    """How many requests wait for a decision now."""
    _, text, _ = worker.text("/metrics")
    (line,) = [each for each in text.splitlines() if each.startswith("fraud_waiting_callers ")]
    return float(line.split()[1])


async def all_waiting(worker: Worker, count: int) -> None:
    """Return once so many requests wait."""
    await readback.eventually(lambda: waiting(worker) == count)
