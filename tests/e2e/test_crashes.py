"""Nothing is lost and nothing is doubled when a worker dies."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import datetime

from tests.support import readback
from tests.support.archived import compare, logged
from tests.support.messages import send_transactions, transaction
from tests.support.worker import Worker


async def test_a_worker_killed_in_the_middle_loses_and_doubles_nothing(worker: Worker) -> None:
    rows = [transaction(f"t{number}") for number in range(12_000)]
    sending = asyncio.create_task(send_transactions(worker.environment, rows))
    for share in (0.1, 0.5):
        reached = share * len(rows)
        await readback.eventually(lambda at=reached: worker.stats()["decisions"]["total"] > at)  # type: ignore[misc]
        worker.kill()
        await asyncio.to_thread(worker.start)
    await sending
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] >= len(rows))

    await readback.everywhere(worker.environment, len(rows))
    history = await readback.in_postgres(worker.environment)
    assert set(history) == {row["transaction_id"] for row in rows}
    assert worker.stats()["decisions"] == readback.outcomes(history)
    assert worker.stats()["duplicates"] == 0
    in_redis = readback.in_redis(worker.environment)
    assert set(in_redis) == set(history)
    archived = {each["transaction_id"]: each for each in await readback.in_s3(worker.environment)}
    published = await readback.in_topic(worker.environment, "decisions")
    # A crash may leave a line or a record twice, but never two versions of one decision.
    assert archived == in_redis
    assert {id_: row["decided_at"].timestamp() for id_, row in history.items()} == {
        id_: datetime.fromisoformat(each["decided_at"].replace("Z", "+00:00")).timestamp()
        for id_, each in in_redis.items()
    }
    for record in published:
        assert json.loads(record.value) == in_redis[record.key.decode()]
    assert {record.key.decode() for record in published} == set(in_redis)


async def test_a_worker_asked_to_stop_leaves_in_good_order(worker: Worker) -> None:
    rows = [transaction(f"t{number}") for number in range(2_000)]
    await send_transactions(worker.environment, rows)
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] > 100)
    assert await asyncio.to_thread(worker.terminate) == 0
    assert "Crashed" not in worker.log.read_text()
    await asyncio.to_thread(worker.start)
    await readback.eventually(lambda: worker.stats()["decisions"]["total"] == len(rows))
    assert worker.stats()["duplicates"] == 0


async def test_two_workers_share_the_work_and_both_know_all_of_it(
    new_worker: Callable[..., Worker],
) -> None:
    one = await asyncio.to_thread(new_worker)
    other = await asyncio.to_thread(new_worker)
    rows = [transaction(f"t{number}") for number in range(2_000)]
    await send_transactions(one.environment, rows)
    for worker in (one, other):
        await readback.eventually(
            lambda each=worker: each.stats()["decisions"]["total"] == len(rows)  # type: ignore[misc]
        )
    # A total is told a moment before the offset that it was counted up to.
    await readback.eventually(lambda: one.stats() == other.stats())
    assert sum(one.stats()["partitions"].values()) == len(rows) - len(one.stats()["partitions"])

    # Whoever decides it, both workers answer, waiting for it or not, as often as asked.
    for number in range(8):
        id_ = f"late-{number}"
        before = [each.get(f"/transaction/{id_}/status") for each in (one, other, one, other)]
        assert before[0][0] == 404
        for _, problem in before:
            del problem["request_id"]
        assert before == [before[0]] * 4
        waiting = [
            asyncio.to_thread(each.get, f"/transaction/{id_}/status?wait_seconds=20")
            for each in (one, other, one, other)
        ]
        answers = asyncio.gather(*waiting)
        await send_transactions(one.environment, [transaction(id_)])
        statuses = await answers
        assert [status for status, _ in statuses] == [200] * 4
        assert all(decision == statuses[0][1] for _, decision in statuses)
        assert one.get(f"/transaction/{id_}/status") == other.get(f"/transaction/{id_}/status")

    one.kill()
    more = [transaction(f"more{number}") for number in range(500)]
    await send_transactions(other.environment, more)
    await readback.eventually(
        lambda: other.stats()["decisions"]["total"] == len(rows) + 8 + len(more)
    )
    await readback.everywhere(other.environment, len(rows) + 8 + len(more))
    # Partitions went from hand to hand, and some of what was saved was saved again.
    log = logged(await readback.in_topic(other.environment, "decisions"))
    assert compare(await readback.in_s3(other.environment), log) == ([], [])
    history = await readback.in_postgres(other.environment)
    assert other.stats()["decisions"] == readback.outcomes(history)
    # The heartbeats of the remaining worker replace those of the dead one, and are complete: they
    # are a function of the log.
    await readback.eventually(lambda: _recent(other) == readback.outcomes(history))
    details = other.get("/stats/details")[1]
    blocked = {id_ for id_, row in history.items() if row["decision"] == "BLOCK"}
    assert len(details["recent"]["blocked"]) == min(20, len(blocked))
    assert {each["transaction_id"] for each in details["recent"]["blocked"]} <= blocked
    assert [each["partitions"] for each in details["workers"]] == [[0, 1, 2, 3]]


def _recent(worker: Worker) -> dict[str, int]:
    """What the page shows as decided in the last hour, if that is what the scores say as well."""
    recent = worker.get("/stats/details")[1]["recent"]
    return {"total": sum(recent["scores"]), **recent["hour"]}
