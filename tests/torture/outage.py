"""Takes sinks away for a while, and measures callers meanwhile and the catching up after.

    python -m tests.torture.outage --down postgres [--down redis] [--seconds 120] [--rate 200]

Latency is from the moment a transaction should have been sent to its decision over HTTP, of a
sample, so that a stall counts for all that it delays. The exit code is 0 only if every caller got a
decision and every decision is in every sink in the end.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from typing import Final

import aiohttp
from aiokafka import AIOKafkaProducer

from tests.support import readback
from tests.support.messages import encoded, transaction
from tests.torture.cluster import Cluster, on_cluster

SAMPLE_EVERY: Final = 10
"""One of so many transactions is asked for."""
WARM_UP_SECONDS: Final = 5.0
"""Seconds of traffic before the outage."""
CATCH_UP_TIMEOUT: Final = 300.0
"""Seconds after which it is given up that a sink has everything."""


async def outage(cluster: Cluster, down: list[str], seconds: float, rate: float) -> bool:
    """Run one outage; prints what was measured, and returns whether all went well."""
    latencies: list[float] = []
    lost: list[str] = []
    asked: list[asyncio.Task[None]] = []
    timeout = aiohttp.ClientTimeout(total=40)
    async with (
        AIOKafkaProducer(bootstrap_servers=cluster.broker) as producer,
        aiohttp.ClientSession(cluster.workers[0].url, timeout=timeout) as session,
    ):

        async def ask(id_: str, due: float) -> None:
            async with session.get(f"/transaction/{id_}/status?wait_seconds=30") as answer:
                if answer.status != 200:
                    lost.append(id_)
                elif began is not None:
                    latencies.append(time.monotonic() - due)

        began: float | None = None
        start, count = time.monotonic(), int((WARM_UP_SECONDS + seconds) * rate)
        for number in range(count):
            due = start + number / rate
            if began is None and due - start >= WARM_UP_SECONDS:
                # It takes a second to find all their processes, and the schedule does not wait.
                killing = [asyncio.to_thread(cluster.servers[name].kill) for name in down]
                killed = asyncio.gather(*killing)
                began = time.monotonic()
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            id_ = f"o{number}"
            if number % SAMPLE_EVERY == 0:
                asked.append(asyncio.create_task(ask(id_, due)))
            await producer.send("transactions", encoded(transaction(id_)), key=id_.encode())
        await producer.flush()
        await killed
        await asyncio.gather(*asked)
    for name in down:
        await asyncio.to_thread(cluster.servers[name].restart)
    back = time.monotonic()
    all_kept = await complete(cluster, count)
    cuts = statistics.quantiles(latencies, n=1_000, method="inclusive")
    print(  # noqa: T201
        f"outage of {'+'.join(down)} for {seconds:g} s at {rate:g}/s: {len(latencies)} callers, "
        f"{len(lost)} without decision, p50={cuts[499] * 1e3:.0f} ms p99={cuts[989] * 1e3:.0f} ms "
        f"max={max(latencies) * 1e3:.0f} ms; "
        f"all {count} in every sink {all_kept - back:.1f} s after the return",
        flush=True,
    )
    return not lost and all_kept - back < CATCH_UP_TIMEOUT


async def complete(cluster: Cluster, count: int) -> float:
    """The moment at which every sink had so many decisions, or that of giving up."""
    deadline = time.monotonic() + CATCH_UP_TIMEOUT
    while time.monotonic() < deadline:
        sinks = (cluster.workers[0].get("/healthz")[1] or {}).get("stores", {"": {"behind": 1}})
        if not any(sink["behind"] for sink in sinks.values()):
            moment = time.monotonic()
            in_s3 = {each["transaction_id"] for each in await readback.in_s3(cluster.environment)}
            in_postgres = await readback.in_postgres(cluster.environment)
            in_redis = await asyncio.to_thread(readback.in_redis, cluster.environment)
            if len(in_s3) == len(in_postgres) == len(in_redis) == count:
                return moment
        await asyncio.sleep(0.5)
    return deadline


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--down", action="append", choices=["redis", "postgres", "s3"])
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--rate", type=float, default=200.0)
    options = parser.parse_args()
    down = options.down or ["postgres"]
    on_cluster(1, lambda cluster: outage(cluster, down, options.seconds, options.rate))


if __name__ == "__main__":
    main()
