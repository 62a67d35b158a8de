"""Whatever the log holds under an id, its first record is the decision, everywhere and once."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import timedelta

from fraudapp import topics
from fraudapp.appender import Appender, NewRecord
from fraudapp.settings import load
from fraudapp.stores.base import encode
from models.partitioning import home_partitions
from models.records import Decision, Outcome
from tests.e2e import kept
from tests.e2e.worker import Worker
from tests.unit.decisions import DECIDED_AT, decision

IDS = [f"t{number}" for number in range(6_000)]
OUTCOMES = (Outcome.BLOCK, Outcome.APPROVE, Outcome.FLAG)


async def write_log(environment: Mapping[str, str]) -> dict[str, Decision]:
    """Write up to three decisions under each id, of other days and outcomes; return the first."""
    settings = load(environment)
    await topics.ensure(settings)
    appender = Appender(settings)
    await appender.start()
    chance = random.Random(7)
    log: list[tuple[str, int]] = [(id_, copy) for id_ in IDS for copy in range(3)]
    chance.shuffle(log)
    first: dict[str, Decision] = {}
    records: dict[int, list[NewRecord]] = {number: [] for number in range(4)}
    for (id_, copy), home in zip(log, home_partitions([id_ for id_, _ in log], 4), strict=True):
        if copy and chance.random() < 0.5:
            continue
        each = decision(
            id_,
            decision=OUTCOMES[copy],
            score=copy / 10,
            decided_at=DECIDED_AT + timedelta(days=chance.randint(0, 3)),
        )
        first.setdefault(id_, each)
        records[home].append((id_.encode(), encode(each), []))
    for number, those in records.items():
        await appender.append(settings.decisions_topic, number, those, "testing", divide=True)
    await appender.stop()
    return first


async def test_of_several_records_under_an_id_every_store_has_the_first(
    worker_environment: dict[str, str], new_worker: Callable[..., Worker]
) -> None:
    first = await write_log(worker_environment)
    worker = new_worker()
    await kept.everywhere(worker.environment, len(IDS))
    counts = Counter(each.decision.value for each in first.values())
    await kept.eventually(lambda: worker.stats()["decisions"] == {"total": len(IDS), **counts})
    rows = await kept.in_postgres(worker.environment)
    assert {id_: (row["decision"], row["decided_at"]) for id_, row in rows.items()} == {
        id_: (each.decision.value, each.decided_at) for id_, each in first.items()
    }
    redis = kept.in_redis(worker.environment)
    assert {id_: each["score"] for id_, each in redis.items()} == {
        id_: each.score for id_, each in first.items()
    }
    # Of the archive a line may be there twice, but never two versions of one decision.
    archived = {(e["transaction_id"], e["score"]) for e in await kept.in_s3(worker.environment)}
    assert archived == {(id_, each.score) for id_, each in first.items()}
