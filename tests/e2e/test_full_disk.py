"""A worker whose disk is full waits, and goes on by itself when there is room."""

from __future__ import annotations

import asyncio
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import readback
from tests.support.messages import send_transactions, transaction
from tests.support.small_disk import SmallDisk
from tests.support.worker import Worker

pytestmark = pytest.mark.timeout(300)

TRANSACTIONS = 24_000
"""Decisions of one partition, which are more than RocksDB holds in memory."""


@pytest.fixture
def worker(
    small_disk: SmallDisk, worker_environment: dict[str, str], new_worker: Callable[..., Worker]
) -> Worker:
    """A worker with one partition and a small disk, which has decided something."""
    return new_worker(
        FRAUD_DATA_DIR=str(small_disk.folder / "data"),
        FRAUD_TOPIC_PARTITIONS="1",
    )


async def test_a_worker_goes_on_when_its_full_disk_has_room(
    worker: Worker, small_disk: SmallDisk
) -> None:
    await send_transactions(worker.environment, [transaction(f"a{n}") for n in range(500)])
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 500)
    small_disk.fill()
    rows = [transaction(f"b{n}") for n in range(TRANSACTIONS)]
    await send_transactions(worker.environment, rows)

    def full() -> bool:
        began = time.monotonic()
        status, answer = worker.get("/readyz", timeout=10.0)
        assert status in (200, 503), f"no answer for {time.monotonic() - began:.1f} s"
        return status == 503 and "FRAUD_DATA_DIR full" in answer["detail"]

    def told_how_much_is_left() -> bool:
        _, ready = worker.get("/readyz")
        _, details = worker.get("/stats/details")
        return bool(
            re.search(r"partitions 0 \([\d,]+ records left", ready["detail"])
            and details["partitions"][0]["unread"] > 0
        )

    await readback.eventually(full)
    await readback.eventually(told_how_much_is_left)
    assert worker.get("/transaction/a1/status")[0] == 200
    small_disk.make_room()
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 500 + TRANSACTIONS)
    await readback.eventually(lambda: worker.get("/readyz")[0] == 200)
    await send_transactions(worker.environment, rows[:100])
    await readback.eventually(lambda: worker.stats()["duplicates"] == 100)
    assert worker.stats()["decisions"]["total"] == 500 + TRANSACTIONS
    assert worker.child.running
    written = worker.log.read_text()
    assert "made anew" not in written
    assert "damaged" not in written


async def test_a_worker_that_starts_on_a_full_disk_waits_for_room(
    worker: Worker, small_disk: SmallDisk
) -> None:
    rows = [transaction(f"a{n}") for n in range(500)]
    await send_transactions(worker.environment, rows)
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == 500)
    worker.terminate()
    small_disk.fill()
    written = len(worker.log.read_text())
    worker.launch()
    await readback.eventually(lambda: "FRAUD_DATA_DIR full" in worker.log.read_text()[written:])

    def is_told() -> bool:
        status, ready = worker.get("/readyz")
        return status == 0 or "FRAUD_DATA_DIR full" in ready["detail"]

    await readback.eventually(is_told)
    assert worker.child.running
    small_disk.make_room()
    await readback.eventually(lambda: worker.get("/readyz")[0] == 200)
    await send_transactions(worker.environment, rows)
    await readback.eventually(lambda: worker.stats()["duplicates"] == 500)
    assert worker.stats()["decisions"]["total"] == 500
    assert "made anew" not in worker.log.read_text()


async def test_a_worker_that_cannot_make_its_files_waits_for_room(
    small_disk: SmallDisk, worker_environment: dict[str, str], trained_models: Path, tmp_path: Path
) -> None:
    data = small_disk.folder / "data"
    shutil.copytree(trained_models, data / "models")
    worker = Worker(worker_environment | {"FRAUD_DATA_DIR": str(data)}, tmp_path)
    small_disk.fill()
    worker.launch()
    try:
        await readback.eventually(lambda: "FRAUD_DATA_DIR full" in worker.log.read_text())
        assert worker.child.running
        small_disk.make_room()
        await readback.eventually(lambda: worker.get("/readyz")[0] == 200)
        assert "Traceback" not in worker.log.read_text()
    finally:
        worker.kill()


async def test_a_worker_whose_disk_is_full_holds_up_no_rebalance(
    small_disk: SmallDisk, worker_environment: dict[str, str], new_worker: Callable[..., Worker]
) -> None:
    two = {"FRAUD_TOPIC_PARTITIONS": "2", "FRAUD_BROKER_SESSION_TIMEOUT": "6"}
    two["FRAUD_BROKER_HEARTBEAT_INTERVAL"] = "1"
    full = new_worker(FRAUD_DATA_DIR=str(small_disk.folder / "data"), **two)
    sound = new_worker(**two)
    small_disk.fill()
    await send_transactions(
        full.environment, [transaction(f"a{n}") for n in range(2 * TRANSACTIONS)]
    )
    await readback.eventually(lambda: "FRAUD_DATA_DIR full" in str(full.get("/readyz")[1]))
    sound.kill()
    other = await asyncio.to_thread(lambda: new_worker(**two))
    assert "record batches unprocessed" in full.log.read_text()
    small_disk.make_room()
    await readback.eventually(lambda: other.stats()["decisions"]["total"] == 2 * TRANSACTIONS, 120)
    await readback.eventually(lambda: full.get("/readyz")[0] == 200)
    assert full.child.running
