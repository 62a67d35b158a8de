"""Waits until a cluster has come to rest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import KafkaException, TopicPartition

from tests.servers import topics
from tests.support.worker import Worker
from tests.torture.cluster import Cluster
from tests.torture.load import PARTITIONS
from tests.torture.reading import Record, Unreadable, read
from tests.torture.senders import TOPIC

log = logging.getLogger(__name__)

STANDSTILL_SECONDS: Final = 300.0
"""Seconds without any progress after which it is given up."""
MAX_SETTLING_SECONDS: Final = 1_500.0
"""Seconds after which it is given up whatever moves: a worker that ends again and again does."""


async def settled(cluster: Cluster, workers: Sequence[Worker]) -> bool:
    """Return once these workers have dealt with all inputs, and all sinks have caught up.

    False if nothing has moved for too long, or too much has.
    """
    loop = asyncio.get_running_loop()
    last, since, until = "", loop.time(), loop.time() + MAX_SETTLING_SECONDS
    while loop.time() < min(since + STANDSTILL_SECONDS, until):
        await asyncio.sleep(1)
        # The last fault may have been on its way when all was healed.
        await asyncio.to_thread(cluster.heal)
        try:
            inputs = await asyncio.to_thread(read, cluster.broker, TOPIC)
        except (Unreadable, KafkaException):
            continue
        # What has come since is not looked for here; workers reroute misrouted inputs.
        ends = _ends(inputs)
        counted = {number: end for number, end in ends.items() if number < PARTITIONS}
        states = [await asyncio.to_thread(_state, worker, counted) for worker in workers]
        states.append(await _unread(cluster, ends))
        if not any(states) and ends == await asyncio.to_thread(_ends_now, cluster):
            return True
        if repr(states) != last:
            last, since = repr(states), loop.time()
            log.info("not settled yet: %s", last)
    log.error("nothing has moved for %.0f s: %s", loop.time() - since, last)
    return False


async def _unread(cluster: Cluster, ends: Mapping[int, int]) -> object:
    """The rest of surplus partitions, of which the workers count nothing."""
    added = {
        TopicPartition(TOPIC, number): end for number, end in ends.items() if number >= PARTITIONS
    }
    if not added:
        return None
    committed = await topics.committed(cluster.broker, "torture", list(added))
    return {
        tp.partition: (committed[tp], end) for tp, end in added.items() if committed[tp] <= end
    } or None


def _ends_now(cluster: Cluster) -> dict[int, int]:
    return _ends(read(cluster.broker, TOPIC))


def _ends(inputs: Sequence[Record]) -> dict[int, int]:
    ends: dict[int, int] = {}
    for each in inputs:
        ends[each.partition] = max(ends.get(each.partition, -1), each.offset)
    return ends


def _state(worker: Worker, ends: Mapping[int, int]) -> object:
    """The work a worker has left; falsy if there is none."""
    if worker.get("/readyz")[0] != 200:
        return "not ready"
    _, health = worker.get("/healthz")
    _, stats = worker.get("/stats")
    if not (health and stats):
        return "no answer"
    left = {
        number: (stats["partitions"].get(str(number), -1), end)
        for number, end in ends.items()
        if stats["partitions"].get(str(number), -1) < end
    }
    behind = {name: sink for name, sink in health["stores"].items() if sink["behind"]}
    return (left, behind) if left or behind else None
