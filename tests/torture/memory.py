"""Judges what workers know of labels, of accounts, and of how good their decisions were."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any, Final

from tests.support.worker import Worker
from tests.torture import mislabelled
from tests.torture.callers import ToldLabel
from tests.torture.cluster import LABELLED, LABELS, Cluster
from tests.torture.comparing import Found, Lines
from tests.torture.disks import compare_disks
from tests.torture.labelling import UNKNOWN, Labelling, Place
from tests.torture.quality import Recount
from tests.torture.reading import Record, read
from tests.torture.remembering import Remembering
from tests.torture.written import Written

log = logging.getLogger(__name__)

PATIENCE_SECONDS: Final = 30.0
"""Seconds until each worker tells of what it has read last."""


class Memory:
    """The recounts of all that there is now."""

    def __init__(self, remembering: Remembering, labelling: Labelling) -> None:
        self.remembering = remembering
        self.labelling = labelling


async def judge_memory(
    cluster: Cluster,
    written: Written,
    told: Collection[ToldLabel],
    decisions: Sequence[Record],
    first: Lines,
    dead_letters: Sequence[Record],
    archived: Sequence[Mapping[str, Any]],
    found: Found,
    *,
    exact: bool,
) -> Memory:
    """Compare everything, and what callers were `told` of labels.

    `exact` demands also what pauses, kills and several workers may blur.
    """
    labels = await asyncio.to_thread(read, cluster.broker, LABELS)
    labelled = written.of_workers(await asyncio.to_thread(read, cluster.broker, LABELLED))
    labelling = Labelling(labels, first, written, _buried_early(dead_letters))
    mislabelled.compare_labelled(labelled, labelling, written, found)
    mislabelled.compare_told(told, labelled, written, found)
    count = mislabelled.compare_dead_labels(dead_letters, labelling, found)
    rows = await mislabelled.in_postgres(cluster)
    mislabelled.compare_rows(rows, labelling, first, written, found)
    mislabelled.compare_archived(archived, labelling, first, written, found)
    again = sum(count.values()) - len(count)
    if exact and again:
        found.mislabelled.append(f"{again} dead letters of labels are there twice")
    log.info(
        "%d labels, %d decisions labelled in %d records, %d dead letters and %d duplicates of "
        "them, %d replaced while they waited, %d ids unsure",
        *(len(labels), len(labelling.joined), len(labelled), len(count), again),
        *(len(labelling.superseded), len(labelling.unsure)),
    )
    remembering = Remembering(decisions, labelled)
    found.misremembered += remembering.wrong
    explained = sum(remembering.explained.values())
    if exact and len(cluster.workers) == 1 and not written.foreign and explained:
        found.misremembered.append(f"{explained} profiles differ, and there is but one worker")
    log.info(
        "%d profiles recounted, %.2f %% not as if all was known at once: %s; %d unexplained",
        *(remembering.compared, 100 * explained / max(1, remembering.compared)),
        *(dict(remembering.explained), len(remembering.wrong)),
    )
    running = [worker for worker in cluster.workers if worker.child.running]
    await _compare_quality(running, decisions, labelling, found)
    return Memory(remembering, labelling)


async def compare_stopped(cluster: Cluster, memory: Memory, found: Found) -> None:
    """Stop all workers, and compare what is on their disks."""
    async with cluster.hands:
        cluster.expected_down.update(range(len(cluster.workers)))
        for worker in cluster.workers:
            if worker.child.running:
                await asyncio.to_thread(worker.terminate)
                await asyncio.to_thread(worker.kill)
        await asyncio.to_thread(compare_disks, cluster, memory.remembering, memory.labelling, found)
        cluster.expected_down.subtract(range(len(cluster.workers)))


async def _compare_quality(
    workers: Sequence[Worker], decisions: Sequence[Record], labelling: Labelling, found: Found
) -> None:
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE_SECONDS
    while True:
        now = datetime.now(timezone.utc)
        recount = Recount(decisions, labelling.joined, now=now, unsure=labelling.unsure)
        differing = Found()
        for worker in workers:
            status, answer = await asyncio.to_thread(worker.get, "/quality")
            recount.compare(worker.url, answer if status == 200 else None, differing)
        if not differing.miscounted or loop.time() > until:
            found.miscounted += differing.miscounted
            return
        await asyncio.sleep(1)


def _buried_early(dead_letters: Sequence[Record]) -> set[Place]:
    """Places of the labels that became dead letters since no decision came."""
    return {
        (int(each.texts["partition"]), int(each.texts["offset"]))
        for each in dead_letters
        if each.texts["reason"] == UNKNOWN and "was decided at" not in each.texts["detail"]
    }


def is_labelled(line: Mapping[str, Any]) -> bool:
    """Whether a line of the archive is a labelled decision."""
    return "labels" in line


def of_topic(dead_letters: Sequence[Record], topic: str) -> list[Record]:
    """Dead letters whose input was in a topic."""
    return [each for each in dead_letters if each.texts.get("topic") == topic]
