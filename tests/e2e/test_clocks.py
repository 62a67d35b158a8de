"""Workers whose clock is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from tests.support import readback
from tests.support.messages import send, send_transactions, transaction
from tests.support.worker import Worker

A_YEAR = 365 * 86_400  # seconds

CLOCK = f"""
import time
_time = time.time
time.time = lambda: _time() + {A_YEAR}
"""


async def test_a_worker_whose_clock_is_a_year_ahead_decides_and_rejects(
    new_worker: Callable[..., Worker], tmp_path: Path
) -> None:
    (tmp_path / "clock").mkdir()
    (tmp_path / "clock" / "sitecustomize.py").write_text(CLOCK)
    worker = await asyncio.to_thread(new_worker, PYTHONPATH=str(tmp_path / "clock"))
    await send_transactions(worker.environment, [transaction(f"t{n}") for n in range(40)])
    await send(worker.environment, [(b"k%d" % n, b"bad") for n in range(8)])
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 40)
    await readback.eventually(lambda: worker.stats()["dead_letters"]["total"] == 8)
    assert "message.timestamp.type" not in worker.log.read_text()
    for name in ("decisions", "dead_letters"):
        stamps = [each.timestamp for each in await readback.in_topic(worker.environment, name)]
        inputs = await readback.in_topic(worker.environment, "transactions")
        assert max(stamps) < max(each.timestamp for each in inputs) + A_YEAR * 1_000 / 2
