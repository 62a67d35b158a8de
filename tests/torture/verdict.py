"""Compares every sink, topic and count with the outcome that the inputs demand."""

from __future__ import annotations

import asyncio
import json
import logging
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import asyncpg
import redis as redis_client

from tests.support import readback
from tests.support.worker import Worker
from tests.torture import comparing
from tests.torture.callers import Callers
from tests.torture.cluster import LABELS, Cluster
from tests.torture.comparing import Found, Lines
from tests.torture.expected import Expected
from tests.torture.lines import line, of_row
from tests.torture.memory import Memory, is_labelled, judge_memory, of_topic
from tests.torture.reading import read
from tests.torture.recomputing import Recomputing
from tests.torture.senders import TOPIC
from tests.torture.written import Written

log = logging.getLogger(__name__)

KINDS: Final = ("lost", "doubled", "miscounted", "misdecided", "mislabelled", "misremembered")
SHOWN_COMPLAINTS: Final = 3
_NAMES: Final = re.compile(r"[tun][0-9a-f]{16}|\{.*|\d+|, (?:but one )?with another.*|: .*")
"""The varying part of complaints of one kind."""
BATCH_ROWS: Final = 1_000


class Verdict(Found):
    """All that was found wrong."""

    def __init__(self) -> None:
        super().__init__()
        self.events = self.kills = self.faults = 0

    def __str__(self) -> str:
        return (
            f"lost={len(self.lost)} doubled={len(self.doubled)} "
            f"miscounted={len(self.miscounted)} misdecided={len(self.misdecided)} "
            f"mislabelled={len(self.mislabelled)} misremembered={len(self.misremembered)} "
            f"events={self.events} kills={self.kills} faults={self.faults}"
        )

    @property
    def held(self) -> bool:
        """Whether all promises held."""
        return not any(getattr(self, name) for name in KINDS)

    def complain(self) -> None:
        """Log what was found: of each kind, how often, and some of it. All of it counts once."""
        for name in KINDS:
            kinds: dict[str, list[str]] = {}
            setattr(self, name, list(dict.fromkeys(getattr(self, name))))
            for each in getattr(self, name):
                kinds.setdefault(_NAMES.sub("*", each), []).append(each)
            for kind, found in kinds.items():
                log.error("%s: %d times: %s", name, len(found), kind)
                for each in found[:SHOWN_COMPLAINTS]:
                    log.error("%s: %s", name, each)


async def judge(
    cluster: Cluster, written: Written, callers: Callers, verdict: Verdict, *, exact: bool
) -> Memory | None:
    """Compare everything, whole; `exact` demands also what pauses and kills may double.

    Returns the recount of what workers remember, if they do.
    """
    broker = cluster.broker
    inputs = await asyncio.to_thread(read, broker, "transactions")
    expected = Expected(inputs, written)
    verdict.events = len(inputs)
    verdict.lost += [
        f"{id_} was confirmed by the broker and is not in the topic"
        for id_ in written.confirmed - expected.payloads.keys()
    ]
    verdict.doubled += [
        f"{id_} was aborted and is read as committed"
        for id_ in written.aborted & expected.payloads.keys()
    ]
    log_ = written.of_workers(await asyncio.to_thread(read, broker, "decisions"))
    first = comparing.first_lines(log_)
    decided = comparing.decided_by(first)
    control = written.of_workers(await asyncio.to_thread(read, broker, "control"))
    policies = Recomputing(control, cluster.models.own if cluster.models else "")
    comparing.compare_log(first, decided, expected, policies, verdict)
    if cluster.models:
        verdict.misdecided += cluster.models.wrong(first.values())
    log.info("%d policies were in force, %d too late", len(policies.members), policies.losers)
    rows = await _in_postgres(cluster)
    comparing.compare_sink("postgres", rows, first, written, verdict, once=True)
    values = await asyncio.to_thread(_in_redis, cluster)
    comparing.compare_sink("redis", values, first, written, verdict, once=True)
    archived = await readback.in_s3(cluster.environment)
    lines = [line(each) for each in archived if not is_labelled(each)]
    comparing.compare_sink("the archive", lines, first, written, verdict, once=False)
    comparing.compare_answers(callers.told, first, written, verdict)
    dead_letters = written.of_workers(await asyncio.to_thread(read, broker, "dead-letters"))
    rejected = of_topic(dead_letters, TOPIC)
    count = comparing.compare_dead_letters(rejected, expected, decided, verdict)
    running = [worker for worker in cluster.workers if worker.child.running]
    _compare_counts(running, first, verdict)
    again = sum(count.values()) - len(count)
    log.info(
        "%d inputs, %d decided in %d records, %d dead letters and %d duplicates of them",
        *(len(inputs), len(first), len(log_), len(count), again),
    )
    if exact:
        _compare_exactly(running, expected.duplicates(decided), len(count), again, verdict)
    if not cluster.remembers:
        return None
    return await judge_memory(
        *(cluster, written, callers.labels, log_, first, of_topic(dead_letters, LABELS)),
        [each for each in archived if is_labelled(each)],
        verdict,
        exact=exact,
    )


def _compare_counts(workers: Sequence[Worker], first: Lines, verdict: Found) -> None:
    outcomes = Counter(json.loads(text)["decision"] for text in first.values())
    wanted = {outcome: outcomes[outcome] for outcome in ("APPROVE", "FLAG", "BLOCK")}
    wanted["total"] = len(first)
    for worker in workers:
        counted = _stats(worker).get("decisions")
        if counted != wanted:
            verdict.miscounted.append(f"{worker.url} counts {counted}, expected {wanted}")


def _compare_exactly(
    workers: Sequence[Worker], duplicates: int, dead_letters: int, again: int, verdict: Found
) -> None:
    if again:
        verdict.doubled.append(f"{again} dead letters are there twice, without a fault")
    for worker in workers:
        stats = _stats(worker)
        counted = stats.get("duplicates"), stats.get("dead_letters", {}).get("total")
        if counted != (duplicates, dead_letters):
            verdict.miscounted.append(
                f"{worker.url} counts {counted} duplicates and dead letters, "
                f"expected {duplicates, dead_letters}"
            )


def _stats(worker: Worker) -> dict[str, Any]:
    """The counts of a worker; empty if it does not answer."""
    return worker.get("/stats")[1] or {}


async def _in_postgres(cluster: Cluster) -> list[str]:
    connection = await asyncpg.connect(cluster.postgres.url.replace("+asyncpg", ""))
    try:
        async with connection.transaction():
            cursor = connection.cursor("SELECT * FROM decisions", prefetch=BATCH_ROWS)
            return [line(of_row(dict(row))) async for row in cursor]
    finally:
        await connection.close()


def _in_redis(cluster: Cluster) -> list[str]:
    lines: list[str] = []
    with redis_client.Redis.from_url(cluster.redis.url) as client:
        keys = list(client.scan_iter("torture:decision:*", count=BATCH_ROWS))
        for start in range(0, len(keys), BATCH_ROWS):
            values = client.mget(keys[start : start + BATCH_ROWS])
            lines += [line(json.loads(value)) for value in values if value is not None]
    return lines
