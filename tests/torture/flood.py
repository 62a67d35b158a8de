"""Floods a worker with hostile messages, as many as good ones, and checks what became of each.

    python -m tests.torture.flood [--count 1000000]

The exit code is 0 only if every good one was decided, every bad one is a dead letter with its bytes
and a reason, and the worker lived through it; its memory is told on the way.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import logging
import random
import time
from collections.abc import AsyncIterator

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition

from models.parsing import InvalidTransaction
from models.schema.schema import PAYSIM
from tests.benchmarks.throughput import resident
from tests.support.messages import encoded, transaction
from tests.torture.cluster import Cluster, on_cluster
from tests.torture.hostile import mutated

log = logging.getLogger("flood")

BATCH_MESSAGES = 5_000
IDLE_TIMEOUT = 120.0
"""Seconds without progress after which it is given up."""


async def flood(cluster: Cluster, count: int) -> bool:
    """Send, wait, and compare; prints the result, and returns whether all went well."""
    worker = cluster.workers[0]
    pid, memory = worker.child.pid, []
    started = time.monotonic()
    random_ = random.Random("flood")
    async with AIOKafkaProducer(bootstrap_servers=cluster.broker, linger_ms=5) as producer:
        for start in range(0, count, BATCH_MESSAGES):
            sent = []
            for number in range(start, min(start + BATCH_MESSAGES, count)):
                key = b"g%d" % number
                good = encoded(transaction(f"g{number}"))
                sent.append(await producer.send("transactions", good, key=key))
                sent.append(await producer.send("transactions", mutated(good, random_), key=key))
            await asyncio.gather(*sent)
            memory.append(resident(worker.child))
            if start % 100_000 == 0:
                log.info(
                    "%d of each sent; the worker has %.0f MiB", start + BATCH_MESSAGES, memory[-1]
                )
    decided, rejected = await _settled(cluster, count, memory)
    took = time.monotonic() - started
    missing = await _missing(cluster.broker)
    alive = worker.child.running and worker.child.pid == pid
    quarter = max(1, len(memory) // 4)
    print(  # noqa: T201
        f"flood: good={count} decided={decided} bad={count} dead_letters={rejected} "
        f"missing={missing} restarts={int(not alive)} seconds={took:.0f} "
        f"memory_mib first_quarter={max(memory[:quarter]):.0f} last_quarter="
        f"{max(memory[-quarter:]):.0f}",
        flush=True,
    )
    return decided == rejected == count and not missing and alive


async def _settled(cluster: Cluster, count: int, memory: list[float]) -> tuple[int, int]:
    """How many were decided and rejected, once it is all or nothing more happens."""
    last, since = (0, 0), time.monotonic()
    while last != (count, count) and time.monotonic() - since < IDLE_TIMEOUT:
        stats = await asyncio.to_thread(cluster.workers[0].stats)
        now = stats["decisions"]["total"], stats["dead_letters"]["total"]
        if now != last:
            last, since = now, time.monotonic()
        memory.append(resident(cluster.workers[0].child))
        await asyncio.sleep(1)
    return last


async def _missing(broker: str) -> int:
    """How many bad inputs have no dead letter with their bytes and a reason."""
    dead_letters: dict[tuple[int, int], bytes] = {}
    missing = 0
    async with AIOKafkaConsumer(bootstrap_servers=broker) as consumer:
        async for record in _records(consumer, "dead-letters"):
            headers = dict(record.headers)
            if headers["reason"] == b"invalid" and headers["detail"]:
                source = int(headers["partition"]), int(headers["offset"])
                dead_letters[source] = hashlib.sha256(record.value or b"").digest()
        async for record in _records(consumer, "transactions"):
            try:
                PAYSIM.parser.parse(record.value)
            except InvalidTransaction:
                wanted = hashlib.sha256(record.value or b"").digest()
                missing += dead_letters.get((record.partition, record.offset)) != wanted
    return missing


async def _records(consumer: AIOKafkaConsumer, topic: str) -> AsyncIterator[ConsumerRecord]:
    """Every record of a topic, one by one: together they would not be small."""
    partitions = [TopicPartition(topic, number) for number in range(4)]
    consumer.assign(partitions)
    await consumer.seek_to_beginning(*partitions)
    ends = await consumer.end_offsets(partitions)
    while any([await consumer.position(each) < ends[each] for each in partitions]):
        for batch in (await consumer.getmany(timeout_ms=500)).values():
            for record in batch:
                yield record


def main() -> None:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=str(__doc__).splitlines()[0])
    parser.add_argument("--count", type=int, default=1_000_000, help="good ones, and bad ones")
    options = parser.parse_args()
    on_cluster(1, lambda cluster: flood(cluster, options.count))


if __name__ == "__main__":
    main()
