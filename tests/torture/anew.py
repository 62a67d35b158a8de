"""A cluster that has lost all it had on disk, and reads its topics from the beginning."""

from __future__ import annotations

import asyncio
import logging
import re
import shutil

from tests.torture.cluster import Cluster
from tests.torture.comparing import Found
from tests.torture.reading import read
from tests.torture.settling import settled
from tests.torture.worker_faults import STATE
from tests.torture.written import Written

log = logging.getLogger(__name__)


async def begun_anew(cluster: Cluster, written: Written, found: Found) -> bool:
    """Let one worker, of this version, read everything again, alone; whether it came to rest.

    So it alone has counted strangers' records in the log, each of them once.
    """
    one, *others = range(len(cluster.workers))
    async with cluster.hands:
        cluster.expected_down.update((one, *others))
        for worker in cluster.workers:
            await asyncio.to_thread(worker.kill)
            worker.code = None
            for name in STATE:
                shutil.rmtree(worker.data_dir / name, ignore_errors=True)
        cluster.workers[one].launch()
        cluster.expected_down[one] -= 1
    if not await settled(cluster, [cluster.workers[one]]):
        return False
    records = await asyncio.to_thread(read, cluster.broker, "decisions")
    wanted = sum(map(written.is_foreign, records))
    counted = _foreign(cluster.workers[one].text("/metrics")[1])
    if counted != wanted:
        found.miscounted.append(f"{counted:g} foreign records in decisions, expected {wanted}")
    log.info("%d foreign records in the decision log were skipped", wanted)
    return True


def _foreign(metrics: str) -> float:
    match = re.search(
        r'^fraud_foreign_records_total\{topic="decisions"\} (\S+)$', metrics, re.MULTILINE
    )
    return float(match[1]) if match else 0.0
