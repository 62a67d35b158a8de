"""Topics that are deleted and made anew, or whose offsets begin again."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.structs import OffsetAndMetadata
from confluent_kafka import KafkaError, KafkaException

from fraudapp.local.processes import POLL_INTERVAL
from tests.servers.kafka import Kafka
from tests.servers.restored import Restorable
from tests.servers.topics import create, delete, emptied
from tests.support import readback
from tests.support.messages import encoded, send, transaction
from tests.support.worker import Worker

pytestmark = pytest.mark.timeout(600)

Totals = tuple[int, int, int]


def topic(worker: Worker, name: str = "TRANSACTIONS") -> str:
    return worker.environment[f"FRAUD_{name}_TOPIC"]


def totals(worker: Worker) -> Totals:
    stats: dict[str, Any] = worker.stats()
    return stats["decisions"]["total"], stats["duplicates"], stats["dead_letters"]["total"]


async def come_to(workers: Sequence[Worker], wanted: Totals) -> None:
    """Return once every worker shows these counts, and the page says that all is read."""
    for worker in workers:
        await readback.eventually(lambda w=worker: totals(w)[0] == wanted[0])  # type: ignore[misc]
        await readback.eventually(lambda w=worker: lag(w) == 0)  # type: ignore[misc]
        deadline = asyncio.get_running_loop().time() + 30
        while (found := totals(worker)) != wanted:
            assert asyncio.get_running_loop().time() < deadline, found
            await asyncio.sleep(POLL_INTERVAL)


def lag(worker: Worker) -> int | None:
    lags = [each["lag"] for each in worker.get("/stats/details")[1]["partitions"]]
    return None if None in lags else sum(lags)


async def send_lot(
    worker: Worker, *, good: Sequence[str], bad: int = 0, first_bad: int = 0
) -> None:
    """Transactions of these ids, then messages that are none, each with a key of its own."""
    messages: list[tuple[bytes | None, bytes | None]] = [
        (id_.encode(), encoded(transaction(id_))) for id_ in good
    ]
    messages += [(b"k%d" % n, b"bad %d" % n) for n in range(first_bad, first_bad + bad)]
    await send(worker.environment, messages)


async def make_anew(worker: Worker, name: str = "TRANSACTIONS") -> None:
    url = worker.environment["FRAUD_BROKER_URL"]
    await delete(url, topic(worker, name))
    try:
        await create(url, topic(worker, name), 4)
    except KafkaException as exc:  # whoever has asked for it first had it made, as a broker may
        if exc.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise
    await emptied(url, topic(worker, name))


def ids(name: str, count: int) -> list[str]:
    return [f"{name}-{number}" for number in range(count)]


async def stop(workers: Sequence[Worker]) -> None:
    codes = await asyncio.gather(*(asyncio.to_thread(each.terminate) for each in workers))
    assert codes == [0] * len(workers)


async def start(workers: Sequence[Worker]) -> None:
    await asyncio.gather(*(asyncio.to_thread(each.start) for each in workers))


async def start_again(
    workers: Sequence[Worker], sentence: str = "was deleted and made anew"
) -> None:
    """As a supervisor does with workers that end."""
    for worker in workers:
        await asyncio.to_thread(worker.child.wait, 30.0)
        assert worker.child.returncode not in (None, 0)
        assert sentence in worker.log.read_text()
    await start(workers)


@pytest.mark.parametrize("count", [1, 2])
async def test_a_topic_made_anew_while_nobody_reads_it_is_counted_exactly(
    new_worker: Callable[..., Worker], count: int
) -> None:
    workers = [await asyncio.to_thread(new_worker) for _ in range(count)]
    one = workers[0]
    old = ids("old", 60)
    await send_lot(one, good=[*old, *old[:5]], bad=30)
    await come_to(workers, (60, 5, 30))
    await stop(workers)
    await make_anew(one)
    # Duplicates at the very offsets of their originals, and fewer messages than there were.
    await send_lot(one, good=[*old[:20], *ids("new", 10)], bad=12)
    await start(workers)
    await come_to(workers, (70, 25, 42))
    await send_lot(one, good=[*old[:3], *ids("more", 10)], bad=2)
    await come_to(workers, (80, 28, 44))
    await stop(workers)
    await make_anew(one)  # once more, and with more messages than there were
    await send_lot(one, good=[*old, *old, *ids("newest", 40)], bad=80)
    await start(workers)
    await come_to(workers, (120, 148, 124))
    for worker in workers:  # what is replayed is not counted again
        worker.kill()
    await start(workers)
    await send_lot(one, good=["last"])
    await come_to(workers, (121, 148, 124))
    await readback.everywhere(one.environment, 121)


@pytest.mark.parametrize("count", [1, 2])
async def test_a_topic_made_anew_while_workers_run_ends_them_and_is_counted_exactly(
    new_worker: Callable[..., Worker], count: int
) -> None:
    workers = [await asyncio.to_thread(new_worker) for _ in range(count)]
    one = workers[0]
    old = ids("old", 60)
    await send_lot(one, good=[*old, *old[:5]], bad=30)
    await come_to(workers, (60, 5, 30))
    await make_anew(one)
    # Past where the workers had come, before they know.
    await send_lot(one, good=[*old, *ids("new", 100)], bad=60)
    await start_again(workers)
    await come_to(workers, (160, 65, 90))
    await make_anew(one)  # with less than there was
    await send_lot(one, good=[*old[:10], *ids("newest", 10)], bad=12)
    await start_again(workers)
    await come_to(workers, (170, 75, 102))
    await readback.everywhere(one.environment, 170)


async def test_counts_and_commits_of_before_are_those_of_the_present_topic(
    new_worker: Callable[..., Worker],
) -> None:
    worker = await asyncio.to_thread(new_worker)
    old = ids("old", 60)
    await send_lot(worker, good=[*old, *old[:5]], bad=30)
    await come_to([worker], (60, 5, 30))
    await stop([worker])
    await forget_topic_ids(worker)
    await start([worker])
    await come_to([worker], (60, 5, 30))
    await send_lot(worker, good=[*old[:5], "new"], bad=1, first_bad=30)
    await come_to([worker], (61, 10, 31))


async def forget_topic_ids(worker: Worker) -> None:
    """Leave counts and commits as a worker did that knew of no ids; no commits in one partition."""
    changelog = f"{worker.environment['FRAUD_APP_ID']}-decision-counts-changelog"
    servers = worker.environment["FRAUD_BROKER_URL"].removeprefix("kafka://")
    records = await readback.in_topic(
        {"FRAUD_COUNTS_TOPIC": changelog, **worker.environment}, "counts"
    )
    values = {each.partition: (each.key, json.loads(each.value)) for each in records}
    assert len(values) == 4
    async with AIOKafkaProducer(bootstrap_servers=servers) as producer:
        for partition, (key, value) in values.items():
            assert value.pop("topic_id")
            value.pop("since")
            await producer.send_and_wait(
                changelog, json.dumps(value).encode(), key=key, partition=partition
            )
    async with AIOKafkaConsumer(
        bootstrap_servers=servers, group_id=worker.environment["FRAUD_APP_ID"]
    ) as consumer:
        partitions = [TopicPartition(topic(worker), number) for number in range(4)]
        consumer.assign(partitions)
        noted = await consumer._coordinator.fetch_committed_offsets(partitions)
        assert all(each.metadata for each in noted.values())
        new = {each: OffsetAndMetadata(found.offset, "") for each, found in noted.items()}
        new[partitions[0]] = OffsetAndMetadata(0, "")  # all of it is replayed
        await consumer.commit(new)


async def test_commits_for_the_topic_of_before_are_not_taken_for_the_new_ones(
    new_worker: Callable[..., Worker],
) -> None:
    worker = await asyncio.to_thread(new_worker)
    old = ids("old", 60)
    await send_lot(worker, good=old, bad=8)
    await come_to([worker], (60, 0, 8))
    await stop([worker])
    group = worker.environment["FRAUD_APP_ID"]
    servers = worker.environment["FRAUD_BROKER_URL"].removeprefix("kafka://")
    partitions = [TopicPartition(topic(worker), number) for number in range(4)]
    # Without its own commits, which would have the offsets of before, and no topic id.
    client = {"bootstrap_servers": servers, "group_id": group, "enable_auto_commit": False}
    async with AIOKafkaConsumer(**client) as consumer:
        consumer.assign(partitions)
        noted = await consumer._coordinator.fetch_committed_offsets(partitions)
    await make_anew(worker)
    async with AIOKafkaConsumer(**client) as consumer:
        consumer.assign(partitions)  # as by a worker that was paused all the time
        await consumer.commit(noted)
    await send_lot(worker, good=[*old, *ids("new", 100)], bad=40)
    await start([worker])
    await come_to([worker], (160, 60, 48))


async def test_a_topic_of_dead_letters_made_anew_is_replayed_from_its_beginning(
    new_worker: Callable[..., Worker], kafka: Kafka
) -> None:
    worker = await asyncio.to_thread(new_worker)
    await send_lot(worker, good=[], bad=30)
    await come_to([worker], (0, 0, 30))
    sent = await asyncio.to_thread(worker.run, "dead-letters", "replay", "--all")
    assert "30" in sent
    await come_to([worker], (0, 0, 60))
    await make_anew(worker, "DEAD_LETTERS")
    await send_lot(worker, good=[], bad=70, first_bad=100)
    await come_to([worker], (0, 0, 130))
    sent = await asyncio.to_thread(worker.run, "dead-letters", "replay", "--all")
    assert "70" in sent
    await come_to([worker], (0, 0, 200))


async def test_a_topic_whose_offsets_begin_again_is_counted_exactly(
    new_worker: Callable[..., Worker], kafka: Kafka, tmp_path: Path
) -> None:
    worker = await asyncio.to_thread(new_worker)
    empty = Restorable(kafka, tmp_path / "copy")
    await asyncio.to_thread(empty.copy)
    old = ids("old", 120)
    await send_lot(worker, good=[*old, *old[:5]], bad=30)
    await come_to([worker], (120, 5, 30))
    await asyncio.to_thread(empty.put_back, topic(worker))
    # Far from where they were: there, they would be the messages of then, put back.
    await send_lot(worker, good=[*old[100:], *ids("new", 10)], bad=12)
    await start_again([worker], "the broker has lost the end of it")
    await come_to([worker], (130, 25, 42))
    await stop([worker])
    await asyncio.to_thread(empty.put_back, topic(worker))
    await send_lot(worker, good=[*old[100:106], *ids("newest", 5)], bad=2)
    await start([worker])
    await come_to([worker], (135, 31, 44))
