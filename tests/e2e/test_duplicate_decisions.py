"""Of several records under an id in the log, the first is the decision for every reader."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import timedelta
from typing import Any

from fraudapp.decisions.batch import encode
from fraudapp.kafka import topics
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.local.postgres import Postgres
from fraudapp.settings import load
from models.key_hash import key_partitions
from models.records import Decision, Outcome
from tests.support import readback
from tests.support.decisions import DECIDED_AT, decision
from tests.support.worker import Worker

IDS = [f"t{number}" for number in range(6_000)]
OUTCOMES = (Outcome.BLOCK, Outcome.APPROVE, Outcome.FLAG)


async def append(environment: Mapping[str, str], decisions: Iterable[Decision]) -> None:
    """Append decisions to the log, in their order, as a worker does that is mistaken."""
    settings = load(environment)
    await topics.ensure(settings)
    records: dict[int, list[NewRecord]] = {number: [] for number in range(4)}
    for each in decisions:
        (key_partition,) = key_partitions([each.transaction_id], 4)
        records[key_partition].append((each.transaction_id.encode(), encode(each), []))
    producer = BatchProducer(settings)
    await producer.start()
    for number, those in records.items():
        await producer.append(settings.decisions_topic, number, those, "testing", divide=True)
    await producer.stop()


async def write_log(environment: Mapping[str, str]) -> dict[str, Decision]:
    """Write up to three decisions under each id, of other days and outcomes; return the first."""
    chance = random.Random(7)
    log: list[tuple[str, int]] = [(id_, copy) for id_ in IDS for copy in range(3)]
    chance.shuffle(log)
    first: dict[str, Decision] = {}
    written = []
    for id_, copy in log:
        if copy and chance.random() < 0.5:
            continue
        each = decision(
            id_,
            decision=OUTCOMES[copy],
            score=copy / 10,
            decided_at=DECIDED_AT + timedelta(days=chance.randint(0, 3)),
        )
        first.setdefault(id_, each)
        written.append(each)
    await append(environment, written)
    return first


async def test_of_several_records_under_an_id_every_sink_has_the_first(
    worker_environment: dict[str, str], new_worker: Callable[..., Worker]
) -> None:
    first = await write_log(worker_environment)
    worker = new_worker()
    await readback.everywhere(worker.environment, len(IDS))
    counts = Counter(each.decision.value for each in first.values())
    await readback.eventually(lambda: worker.stats()["decisions"] == {"total": len(IDS), **counts})
    rows = await readback.in_postgres(worker.environment)
    assert {id_: (row["decision"], row["decided_at"]) for id_, row in rows.items()} == {
        id_: (each.decision.value, each.decided_at) for id_, each in first.items()
    }
    redis = readback.in_redis(worker.environment)
    assert {id_: each["score"] for id_, each in redis.items()} == {
        id_: each.score for id_, each in first.items()
    }
    # Of the archive a line may be there twice, but never two versions of one decision.
    archived = {(e["transaction_id"], e["score"]) for e in await readback.in_s3(worker.environment)}
    assert archived == {(id_, each.score) for id_, each in first.items()}


def waiters(worker: Worker) -> int:
    """How many callers wait for a decision there."""
    _, text, _ = worker.text("/metrics")
    (line,) = (each for each in text.splitlines() if each.startswith("fraud_waiting_callers "))
    return int(float(line.split()[1]))


async def test_callers_are_told_the_first_by_whatever_worker(
    worker_environment: dict[str, str], new_worker: Callable[..., Worker], postgres: Postgres
) -> None:
    first = await write_log(worker_environment)
    workers = [await asyncio.to_thread(new_worker) for _ in range(2)]
    await readback.everywhere(worker_environment, len(IDS))
    postgres.kill()  # so that it does not have what comes now
    old, new = IDS[::200], [f"new{number}" for number in range(16)]
    with ThreadPoolExecutor(32) as pool:

        def asked(ids: Iterable[str], wait: int) -> list[Future[tuple[int, Any]]]:
            paths = [f"/transaction/{each}/status?wait_seconds={wait}" for each in ids]
            return [pool.submit(worker.get, path) for worker in workers for path in paths]

        async def scores(ids: Iterable[str], wait: int = 0) -> list[float]:
            answers = await asyncio.gather(*map(asyncio.wrap_future, asked(ids, wait)))
            return [answer["score"] for _, answer in answers]

        waiting = asyncio.create_task(scores(new, wait=30))
        for worker in workers:
            await readback.eventually(lambda each=worker: waiters(each) == len(new))  # type: ignore[misc]
        again = [decision(id_, score=0.9) for id_ in old]
        twice = [decision(id_, score=score) for score in (0.3, 0.6) for id_ in new]
        await append(worker_environment, [*again, *twice])
        assert await waiting == [0.3] * 2 * len(new)
        assert await scores(new) == [0.3] * 2 * len(new)
        assert await scores(old) == [first[id_].score for id_ in old] * 2
