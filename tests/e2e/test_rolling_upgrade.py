"""Workers of the version before and of this one share a cluster, and are replaced one by one."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import readback
from tests.support.archived import logged
from tests.support.messages import send_transactions, transaction
from tests.support.worker import Worker
from tests.torture.cluster import checked_out

BEFORE = "bd161fb"
"""The last commit of version 0.1; the release before this one from 0.3 on."""


@pytest.fixture
def before(tmp_path: Path) -> Path:
    """Folder of the version before."""
    argv = ["git", "cat-file", "-e", f"{BEFORE}^{{commit}}"]
    if subprocess.run(argv, check=False, capture_output=True).returncode:
        pytest.skip(f"this copy has no history with {BEFORE}, the version before")
    return checked_out(BEFORE, tmp_path / "before")


async def test_versions_are_replaced_one_by_one_and_back(
    before: Path, new_worker: Callable[..., Worker]
) -> None:
    one = await asyncio.to_thread(new_worker)
    other = await asyncio.to_thread(new_worker)
    rows = [transaction(f"t{number}") for number in range(3_000)]
    for turn, (worker, code) in enumerate(
        [(one, before), (other, before), (one, None), (other, None), (one, before)]
    ):
        await asyncio.to_thread(worker.terminate)
        worker.code = code
        part = rows[turn * 600 : (turn + 1) * 600]
        await send_transactions(one.environment, part[:300])  # while it is away, or just starts
        await asyncio.to_thread(worker.start)
        await send_transactions(one.environment, part[300:])
        done = (turn + 1) * 600
        for each in (one, other):
            await readback.eventually(lambda: _decided(each) == done)  # noqa: B023
    for each in (one, other):
        assert each.stats()["duplicates"] == 0
        for row in rows[::100]:
            status, decision = each.get(f"/transaction/{row['transaction_id']}/status")
            assert (status, decision["transaction_id"]) == (200, row["transaction_id"])
        workers = each.get("/stats/details")[1]["workers"]
        owned = [partition for told in workers for partition in told["partitions"]]
        assert sorted(owned) == [*range(4)]
    await readback.everywhere(one.environment, len(rows))
    log = logged(await readback.in_topic(one.environment, "decisions"))
    assert {each["transaction_id"] for each in log} == {each["transaction_id"] for each in rows}


def _decided(worker: Worker) -> int:
    return int(worker.stats()["decisions"]["total"])
