"""A worker and the commands reach Postgres through PgBouncer alone."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable

from tests.servers.pgbouncer import PgBouncer
from tests.support import readback
from tests.support.messages import encoded, transaction
from tests.support.worker import Worker


async def test_the_history_fills_and_is_reported_and_purged_through_a_pooler(
    worker_environment: dict[str, str],
    new_worker: Callable[..., Worker],
    pgbouncer: PgBouncer,
) -> None:
    worker = new_worker(FRAUD_POSTGRES_URL=pgbouncer.url)
    for part in range(4):
        sent = b",".join(encoded(transaction(f"t{part}-{number}")) for number in range(50))
        assert worker.post("/transactions", b"[%b]" % sent)[0] == 202
        if part == 1:
            await asyncio.to_thread(pgbouncer.restart)
    await readback.everywhere(worker_environment, 200)
    history = await readback.in_postgres(worker_environment)
    days = sorted({str(row["decided_at"].date()) for row in history.values()})  # in UTC
    reports = [
        json.loads(worker.run("daily-report", "--date", day, "--format", "json")) for day in days
    ]
    assert sum(report["total"] for report in reports) == 200
    assert "postgres: 0 decisions" in worker.run("purge", "--before", days[0], "--yes")
