"""The topic of transactions gets partitions while workers run."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaProducer, ConsumerRecord

from tests.servers.kafka import Kafka
from tests.servers.topics import add_partitions
from tests.support import readback
from tests.support.messages import encoded, transaction
from tests.support.worker import Worker


async def send_to_each(worker: Worker, partitions: int, name: str) -> None:
    """Send ten transactions and an invalid message to each partition; all ids differ."""
    topic = worker.environment["FRAUD_TRANSACTIONS_TOPIC"]
    async with AIOKafkaProducer(
        bootstrap_servers=worker.environment["FRAUD_BROKER_URL"].removeprefix("kafka://")
    ) as producer:
        for partition in range(partitions):
            for number in range(10):
                row = transaction(f"{name}-{partition}-{number}")
                await producer.send(topic, encoded(row), partition=partition)
            await producer.send(topic, b"bad", partition=partition)


async def test_added_partitions_are_told_at_once_and_decided_after_a_restart(
    new_worker: Callable[..., Worker], kafka: Kafka
) -> None:
    workers = [await asyncio.to_thread(new_worker) for _ in range(2)]
    one, other = workers
    await send_to_each(one, 4, "before")
    await readback.eventually(lambda: totals(one) == (40, 0, 4))
    await add_partitions(kafka.url, one.environment["FRAUD_TRANSACTIONS_TOPIC"], 6)
    for worker in workers:
        _, problem = await readback.eventually(lambda w=worker: not_ready(w), timeout=20)  # type: ignore[misc]
        assert "has 6: messages in the new ones wait until every worker" in problem["detail"]
        assert "leave FRAUD_TOPIC_PARTITIONS at 4" in problem["detail"]
        assert problem["detail"].removeprefix("not ready: ") in worker.log.read_text()
    await send_to_each(one, 6, "after")
    for worker in workers:  # as the sentence says
        assert await asyncio.to_thread(worker.terminate) == 0
        await asyncio.to_thread(worker.start)
    await readback.eventually(lambda: min(totals(one)[0], totals(other)[0]) == 100)
    await readback.eventually(lambda: min(totals(one)[2], totals(other)[2]) >= 10)
    await readback.everywhere(one.environment, 100)
    # Rerouted twice if a rebalance came in between: then two dead letters name one position.
    dead_letters = await readback.in_topic(one.environment, "dead_letters")
    assert {place(each) for each in dead_letters} == await bad_inputs(one)
    assert totals(one)[1] == totals(other)[1] == 0
    decided = await readback.in_postgres(one.environment)
    added = [each for each in decided.values() if each["input_partition"] >= 4]
    assert len(added) == 20


def place(dead_letter: ConsumerRecord) -> tuple[int, int]:
    headers = dict(dead_letter.headers)
    return int(headers["partition"]), int(headers["offset"])


async def bad_inputs(worker: Worker) -> set[tuple[int, int]]:
    """Positions of invalid messages, without the copies that workers have rerouted."""
    return {
        (each.partition, each.offset)
        for each in await readback.in_topic(worker.environment, "transactions")
        if each.value == b"bad" and not each.headers
    }


def totals(worker: Worker) -> tuple[int, int, int]:
    stats: dict[str, Any] = worker.stats()
    return stats["decisions"]["total"], stats["duplicates"], stats["dead_letters"]["total"]


def not_ready(worker: Worker) -> tuple[int, Any] | None:
    answer = worker.get("/readyz")
    return answer if answer[0] == 503 else None
