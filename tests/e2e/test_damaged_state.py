"""Damaged indexes and tables are made anew, and nothing is decided twice."""

from __future__ import annotations

import asyncio
from pathlib import Path

from faust.stores.rocksdb import Store
from rocksdict import Options, Rdict

from fraudapp.local.processes import free_port
from tests.support import readback
from tests.support.damage import damage
from tests.support.messages import send_transactions, transaction
from tests.support.worker import Worker


async def test_an_index_that_is_lost_or_damaged_is_made_anew(worker: Worker) -> None:
    rows = [transaction(f"t{number}") for number in range(500)]
    await send_transactions(worker.environment, rows)
    await readback.everywhere(worker.environment, len(rows))
    worker.kill()
    damaged = 0
    for path in worker.data_dir.glob("ledger/*/MANIFEST*"):
        path.write_bytes(b"garbage")
        damaged += 1
    assert damaged == 4
    await asyncio.to_thread(worker.start)
    await send_transactions(worker.environment, rows)
    await readback.eventually(lambda: worker.stats()["duplicates"] == len(rows))
    assert worker.stats()["decisions"]["total"] == len(rows)
    assert worker.log.read_text().count("it is read from the log again") == damaged


async def settled(worker: Worker) -> None:
    """Return once what the worker has decided is in files."""
    await readback.eventually(
        lambda: len({path.parent for path in worker.data_dir.glob("ledger/*/*.sst")}) == 4
    )


def each_partition(worker: Worker, pattern: str) -> list[Path]:
    """The folders of partitions, in their order."""
    return sorted(worker.data_dir.glob(pattern))


async def test_a_worker_whose_indexes_are_damaged_goes_on(worker: Worker) -> None:
    """Each partition's in another way."""
    rows = [transaction(f"t{number}") for number in range(500)]
    await send_transactions(worker.environment, rows)
    await readback.everywhere(worker.environment, len(rows))
    await settled(worker)
    ways = ("scratched", "cut", "scratched", "removed")
    for way, folder in zip(ways, each_partition(worker, "ledger/*"), strict=True):
        damage(folder, "*.sst", way)
    for number in range(20):
        status, decision = worker.get(f"/transaction/t{number}/status?wait_seconds=20")
        assert (status, decision["transaction_id"]) == (200, f"t{number}")
    new = [transaction(f"new{number}") for number in range(500)]
    await send_transactions(worker.environment, rows + new)
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == len(rows + new))
    await readback.eventually(lambda: worker.stats()["duplicates"] == len(rows))
    await readback.everywhere(worker.environment, len(rows + new))
    assert worker.child.running
    assert worker.get("/readyz")[0] == 200
    assert "in use" not in worker.log.read_text()
    # What is removed RocksDB notices when it opens it again.
    assert worker.log.read_text().count("made anew from partition") == 3


async def test_a_worker_starts_on_damaged_files(worker: Worker) -> None:
    """Each partition's in another way."""
    rows = [transaction(f"t{number}") for number in range(500)]
    await send_transactions(worker.environment, rows)
    await readback.everywhere(worker.environment, len(rows))
    await settled(worker)
    worker.kill()
    ways = ("scratched", "cut", "removed", "emptied")
    for way, folder in zip(ways, each_partition(worker, "ledger/*"), strict=True):
        damage(folder, "*.sst", way)
    for table in ("decision-counts", "partition-reports"):
        databases = each_partition(worker, f"faust/**/{table}-*.db")
        for way, folder in zip(ways, databases, strict=True):
            damage(folder, "MANIFEST-*", way)
    await asyncio.to_thread(worker.start)
    await send_transactions(worker.environment, rows)
    await readback.eventually(lambda: worker.stats()["duplicates"] == len(rows))
    assert worker.stats()["decisions"]["total"] == len(rows)
    assert "in use" not in worker.log.read_text()


async def test_a_folder_that_another_worker_has_open_is_told_and_left_alone(
    worker: Worker,
) -> None:
    rows = [transaction(f"t{number}") for number in range(100)]
    await send_transactions(worker.environment, rows)
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == len(rows))
    other = Worker(
        worker.environment | {"FRAUD_WEB_PORT": str(free_port())}, worker.data_dir.parent
    )
    other.launch()
    try:
        await readback.eventually(lambda: "is in use by another worker" in other.log.read_text())
        assert await asyncio.to_thread(other.child.wait, 60)
        assert other.child.returncode == 1
    finally:
        other.kill()
    await readback.eventually(lambda: worker.get("/readyz")[0] == 200)
    await send_transactions(worker.environment, rows)
    await readback.eventually(lambda: worker.stats()["duplicates"] == len(rows))
    assert "damaged" not in worker.log.read_text() + other.log.read_text()


async def test_a_table_that_is_damaged_or_ahead_of_its_changelog_is_made_anew(
    worker: Worker,
) -> None:
    rows = [transaction(f"t{number}") for number in range(500)]
    await send_transactions(worker.environment, rows + rows[:50])
    await readback.eventually(lambda: worker.stats()["duplicates"] == 50)
    await readback.acknowledged(worker.environment, 550)
    expected = worker.stats()
    worker.kill()
    databases = sorted(worker.data_dir.glob("faust/**/decision-counts-*.db"))
    assert len(databases) == 4
    for path in databases[0].glob("MANIFEST*"):
        path.write_bytes(b"garbage")
    ahead = Rdict(str(databases[1]), Options(raw_mode=True))
    ahead[Store.offset_key] = b"1000000"
    ahead.close()
    await asyncio.to_thread(worker.start)
    assert worker.stats() == expected
    written = worker.log.read_text()
    assert "decision-counts-0.db is damaged" in written
    assert "has offset 1000000, and the changelog ends at" in written
