"""What is done to what sinks and broker hold: purged, emptied, put back to an earlier copy."""

from __future__ import annotations

import asyncio
import logging
import random
import shutil
import sys
from collections.abc import Awaitable, Callable
from datetime import datetime, timezone
from typing import Final

import asyncpg
import redis as redis_client
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from tests.servers import topics
from tests.servers.restored import Restorable
from tests.torture.cluster import BUCKET, LABELLED, Cluster
from tests.torture.gate import Gate
from tests.torture.labelling import folded
from tests.torture.load import PARTITIONS
from tests.torture.reading import read
from tests.torture.senders import TOPIC
from tests.torture.worker_faults import down
from tests.torture.written import Written

log = logging.getLogger(__name__)

MAX_PARTITIONS: Final = 7
"""Of the input."""

StoreFault = Callable[[Cluster, Gate, Written, random.Random], Awaitable[None]]


async def purge(cluster: Cluster, gate: Gate, written: Written, random_: random.Random) -> None:
    """Purge the days before today: what a clock that is slow has stamped."""
    today = datetime.now(timezone.utc).date()
    command = ["-m", "fraudapp", "purge", "--before", str(today), "--yes"]
    environment = {**cluster.environment, "FRAUD_DATA_DIR": str(cluster.folder / "trained")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *command,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    log.info("purge: %s", " | ".join(output.decode().splitlines()))
    if process.returncode == 0:
        written.purge(today)


async def set_back(cluster: Cluster, gate: Gate, written: Written, random_: random.Random) -> None:
    """Empty a sink, and let it begin anew with the log; as after the loss of its disk."""
    name = random_.choice(list(_EMPTY))
    log.info("%s is emptied, to be filled again", name)
    async with down(cluster, *range(len(cluster.workers))):
        await _EMPTY[name](cluster)
        await _forget_offsets(cluster, f"torture-{name}", "decisions")
        if name in _WITH_LABELS and cluster.remembers:
            await _forget_offsets(cluster, f"torture-labels-{name}", LABELLED)


async def shorten_log(
    cluster: Cluster, gate: Gate, written: Written, random_: random.Random
) -> None:
    """Put the broker back to a copy, while indexes and sinks have what came since."""
    restorable = Restorable(cluster.brokers["kafka"], cluster.folder / "copy")
    shutil.rmtree(cluster.folder / "copy", ignore_errors=True)
    async with gate.closed():
        confirmed, purged = set(written.confirmed), written.purged
        labels = set(written.confirmed_labels)
        records = await asyncio.to_thread(read, cluster.broker, "decisions")
        decided = {
            each.key.decode() for each in written.of_workers(records) if each.key is not None
        }
        versions = await asyncio.to_thread(_versions, cluster, written)
        await asyncio.to_thread(restorable.copy)
    await asyncio.sleep(random_.uniform(3, 15))
    everyone = range(len(cluster.workers))
    # Indexes have what is lost only if they are on disk; one that comes late finds another log,
    # which has grown again.
    gently, late = random_.random() < 0.7, random_.choice((0.0, 0.0, 25.0))
    async with gate.closed(), down(cluster, *everyone, gently=gently, late=late):
        since = (await asyncio.to_thread(_versions, cluster, written)).items() - versions.items()
        labelled = {id_ for id_, _ in since}
        putting_back = asyncio.ensure_future(asyncio.to_thread(restorable.put_back))
        try:
            await asyncio.shield(putting_back)
        finally:  # a run may end in the midst of it, and it cannot be stopped half-way
            await putting_back
            written.set_back(confirmed, labels, labelled, decided, purged)
    shutil.rmtree(cluster.folder / "copy")


def _versions(cluster: Cluster, written: Written) -> dict[str, int]:
    """The version of each labelled decision, by its id."""
    if not cluster.remembers:
        return {}
    found, _ = folded(written.of_workers(read(cluster.broker, LABELLED)))
    return {id_: each["version"] for id_, each in found.items()}


async def add_partition(
    cluster: Cluster, gate: Gate, written: Written, random_: random.Random
) -> None:
    """Let the input have one more partition, and restart all workers, as operators are told to."""
    partitions = await topics.partitions_of(cluster.broker, TOPIC)
    if partitions == MAX_PARTITIONS:
        return
    await topics.add_partitions(cluster.broker, TOPIC, partitions + 1)
    await asyncio.sleep(random_.uniform(0, 20))  # messages go there already
    async with down(cluster, *range(len(cluster.workers)), gently=True):
        log.info("the input has %d partitions now", partitions + 1)


async def _forget_offsets(cluster: Cluster, group: str, topic: str) -> None:
    partitions = [TopicPartition(topic, number) for number in range(PARTITIONS)]
    while True:
        try:
            async with AIOKafkaConsumer(
                bootstrap_servers=cluster.broker, group_id=group, enable_auto_commit=False
            ) as consumer:
                consumer.assign(partitions)
                await consumer.commit(dict.fromkeys(partitions, 0))
                return
        except KafkaError as exc:
            log.info("offsets of %s: %s", group, type(exc).__name__)
            await asyncio.sleep(1)


async def _empty_postgres(cluster: Cluster) -> None:
    connection = await asyncpg.connect(cluster.postgres.url.replace("+asyncpg", ""))
    try:
        await connection.execute("TRUNCATE decisions")
        if cluster.remembers:
            await connection.execute("TRUNCATE labels")
    finally:
        await connection.close()


async def _empty_redis(cluster: Cluster) -> None:
    with redis_client.Redis.from_url(cluster.redis.url) as client:
        await asyncio.to_thread(client.flushdb)


async def _empty_archive(cluster: Cluster) -> None:
    for path in (cluster.folder / "s3" / "buckets" / BUCKET).iterdir():
        await asyncio.to_thread(shutil.rmtree, path)


_EMPTY: Final[dict[str, Callable[[Cluster], Awaitable[None]]]] = {
    "postgres": _empty_postgres,
    "redis": _empty_redis,
    "archive": _empty_archive,
}
_WITH_LABELS: Final = ("postgres", "archive")
"""Sinks that keep labels, too."""
STORE_FAULTS: Final[dict[str, tuple[StoreFault, int]]] = {
    "purge": (purge, 3),
    "set_back": (set_back, 2),
    "shorten_log": (shorten_log, 2),
    "add_partition": (add_partition, 1),
}
"""Each with its weight."""
