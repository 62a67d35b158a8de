"""Waits until a cluster has come to rest."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import KafkaException, TopicPartition

from tests.servers import topics
from tests.support.worker import Worker
from tests.torture.cluster import LABEL_DELAY, LABELLED, LABELS, Cluster
from tests.torture.load import PARTITIONS
from tests.torture.reading import Record, Unreadable, behind, read
from tests.torture.senders import TOPIC

log = logging.getLogger(__name__)

_GROUPS: Final = {
    "torture-labels": LABELS,
    "torture-labels-postgres": LABELLED,
    "torture-labels-archive": LABELLED,
}
"""Who commits what of the topics of labels it has dealt with."""
_AT_REST: Final = (
    "fraud_labels_waiting",
    "fraud_labels_known_lag_messages",
    "fraud_profile_lag_seconds",
)
"""Metrics of a worker that are 0 then."""
STANDSTILL_SECONDS: Final = 300.0
"""Seconds without any progress after which it is given up."""
MAX_SETTLING_SECONDS: Final = 1_500.0
"""Seconds after which it is given up whatever moves: a worker that ends again and again does."""


async def settled(cluster: Cluster, workers: Sequence[Worker], *, labels: bool = True) -> bool:
    """Return once these workers have dealt with all inputs, and all sinks have caught up.

    So they have with all `labels`, unless told otherwise: a worker whose clock is behind waits for
    decisions much too long. False if nothing has moved for too long, or too much has.
    """
    labels = labels and cluster.remembers
    loop = asyncio.get_running_loop()
    last, since, until = "", loop.time(), loop.time() + MAX_SETTLING_SECONDS
    while loop.time() < min(since + STANDSTILL_SECONDS, until):
        await asyncio.sleep(1)
        # The last fault may have been on its way when all was healed.
        await asyncio.to_thread(cluster.heal)
        try:
            inputs = await asyncio.to_thread(read, cluster.broker, TOPIC)
            unjoined = await _unjoined(cluster, workers) if labels else None
        except (Unreadable, KafkaException):
            continue
        # What has come since is not looked for here; workers reroute misrouted inputs.
        ends = _ends(inputs)
        counted = {number: end for number, end in ends.items() if number < PARTITIONS}
        states = [await asyncio.to_thread(_state, worker, counted) for worker in workers]
        states += [await _unread(cluster, ends), unjoined]
        if not any(states) and ends == await asyncio.to_thread(_ends_now, cluster):
            if labels:
                await asyncio.sleep(2 * LABEL_DELAY + 2)  # until the last ones are in profiles
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


async def _unjoined(cluster: Cluster, workers: Sequence[Worker]) -> object:
    """What is left to be done with labels; None if nothing is."""
    left: dict[str, object] = {}
    for group, topic in _GROUPS.items():
        if unread := await asyncio.to_thread(behind, cluster.broker, group, topic):
            left[group] = unread
    for worker in workers:
        metrics = await asyncio.to_thread(_metrics, worker)
        for name in _AT_REST:
            match = re.search(rf"^{name} (\S+)$", metrics, re.MULTILINE)
            if match is None or float(match[1]) != 0:
                left[f"{name} of {worker.url}"] = match and match[1]
    return left or None


def _metrics(worker: Worker) -> str:
    try:
        return worker.text("/metrics")[1]
    except OSError:
        return ""


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
    late = {name: sink for name, sink in health["stores"].items() if sink["behind"]}
    return (left, late) if left or late else None
