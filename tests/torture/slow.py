"""Slows every sink to a tenth under a backlog, and watches what a worker holds in memory.

    python -m tests.torture.slow [--count 500000]

Each sink is frozen for nine tenths of the time, all through the backlog; then they run freely. The
exit code is 0 only if the worker always held less than `MAX_MEMORY_MIB` and every decision is in
every sink in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import time
from typing import Final

from fraudapp.local.processes import Child
from fraudapp.local.server import Server
from tests.benchmarks.throughput import resident
from tests.support.messages import send_transactions, transaction
from tests.torture.cluster import Cluster, on_cluster
from tests.torture.outage import CATCH_UP_TIMEOUT, complete

log = logging.getLogger("slow")

MAX_MEMORY_MIB: Final = 400.0
"""MiB that a worker may hold."""
PERIOD_SECONDS: Final = 0.2
"""Seconds from one thaw to the next."""
BATCH_MESSAGES: Final = 5_000


async def slow(cluster: Cluster, count: int) -> bool:
    """Slow the sinks, work off a backlog, and let them go; prints what was measured."""
    worker = cluster.workers[0]
    pid, memory = worker.child.pid, [0.0]
    sinks = [cluster.redis, cluster.postgres, cluster.s3]
    slowing = [asyncio.create_task(_slow_down(sink)) for sink in sinks]
    watching = asyncio.create_task(_watch(worker.child, memory))
    began = time.monotonic()
    try:
        await _send(cluster, count)
        while (decided := (await asyncio.to_thread(worker.stats))["decisions"]["total"]) < count:
            log.info("%d decided; the worker held %.0f MiB at most", decided, max(memory))
            await asyncio.sleep(5)
    finally:
        for task in slowing:
            task.cancel()
        await asyncio.gather(*slowing, return_exceptions=True)
    took = time.monotonic() - began
    behind = {name: sink["behind"] for name, sink in worker.get("/healthz")[1]["stores"].items()}
    back = time.monotonic()
    all_kept = await complete(cluster, count)
    watching.cancel()
    print(  # noqa: T201
        f"slow sinks: {count} events decided in {took:.0f} s, sinks then behind by {behind}; "
        f"all in every sink {all_kept - back:.0f} s after the sinks ran freely; "
        f"memory at most {max(memory):.0f} MiB",
        flush=True,
    )
    alive = worker.child.running and worker.child.pid == pid
    return alive and max(memory) < MAX_MEMORY_MIB and all_kept - back < CATCH_UP_TIMEOUT


async def _slow_down(sink: Server) -> None:
    try:
        while True:
            await asyncio.to_thread(sink.pause)
            await asyncio.sleep(0.9 * PERIOD_SECONDS)
            await asyncio.to_thread(sink.resume)
            await asyncio.sleep(0.1 * PERIOD_SECONDS)
    finally:
        sink.resume()


async def _watch(child: Child, memory: list[float]) -> None:
    while True:
        memory.append(resident(child))
        await asyncio.sleep(0.2)


async def _send(cluster: Cluster, count: int) -> None:
    for start in range(0, count, BATCH_MESSAGES):
        numbers = range(start, min(start + BATCH_MESSAGES, count))
        await send_transactions(cluster.environment, [transaction(f"s{each}") for each in numbers])


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--count", type=int, default=500_000, help="transactions of the backlog")
    options = parser.parse_args()
    on_cluster(1, lambda cluster: slow(cluster, options.count))


if __name__ == "__main__":
    main()
