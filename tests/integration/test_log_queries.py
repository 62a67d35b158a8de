"""Queries for the end of the log and for a decision in it are shared by their callers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiokafka.errors import KafkaError

from fraudapp.decisions.batch import Batch
from fraudapp.decisions.log_queries import LogQueries
from fraudapp.decisions.reader import LogReader
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.offsets import End
from fraudapp.kafka.producer import BatchProducer, NewRecord
from fraudapp.local.server import Server
from fraudapp.settings import Settings, load
from tests.servers.choice import real
from tests.servers.kafka_cluster import KafkaCluster
from tests.support.decisions import decision, id_in_partition

PARTITIONS = 2


class Log:
    """A decision log that is written to."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.decisions_topic
        self.producer = BatchProducer(settings)
        self.questions = LogQueries(settings)

    async def append(self, number: int, ids: Iterable[str]) -> None:
        batch = Batch([decision(each) for each in ids])
        records: list[NewRecord] = [
            (key, value, []) for key, value in zip(batch.keys, batch.encoded, strict=True)
        ]
        await self.producer.append(self._topic, number, records, "publishing")


@asynccontextmanager
async def opened(url: str, topics: dict[str, str]) -> AsyncIterator[Log]:
    settings = load({**topics, "FRAUD_BROKER_URL": url, "FRAUD_TOPIC_PARTITIONS": str(PARTITIONS)})
    await kafka_topics.ensure(settings)
    log = Log(settings)
    await log.producer.start()
    await log.questions.start()
    yield log
    await log.questions.stop()
    await log.producer.stop()


@pytest.fixture
async def log(kafka: Server, topics: dict[str, str]) -> AsyncIterator[Log]:
    async with opened(kafka.url, topics) as log:
        yield log


async def test_whoever_asks_together_shares_an_answer_that_is_no_older_than_they_are(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = 0
    ends = LogReader.ends

    async def counted(reader: LogReader, numbers: Iterable[int]) -> dict[int, End]:
        nonlocal asked
        asked += 1
        return await ends(reader, numbers)

    monkeypatch.setattr(LogReader, "ends", counted)
    for count in range(1, 6):
        earlier = [asyncio.create_task(log.questions.end(0)) for _ in range(10)]
        await asyncio.sleep(0)
        await log.append(0, [id_in_partition(0, count, PARTITIONS)])
        later = await asyncio.gather(*(log.questions.end(0) for _ in range(100)))
        assert set(later) == {End(count, count)}
        assert {each.high_water for each in await asyncio.gather(*earlier)} <= {count - 1, count}
    assert asked <= 10
    assert await log.questions.end(1) == End(0, 0)


async def test_a_decision_is_found_where_it_is(log: Log) -> None:
    ids = [id_in_partition(1, number, PARTITIONS) for number in range(40)]
    for begin in range(0, 40, 10):
        await log.append(1, ids[begin : begin + 10])
    found = await asyncio.gather(*(log.questions.decision(1, at) for at in range(40)))
    assert found == [decision(id_) for id_ in ids]


async def test_a_partition_without_a_leader_keeps_no_other_waiting(
    topics: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster = real(KafkaCluster, tmp_path / "kafka")
    cluster.start()
    try:
        kept_whole = {"cleanup_policy": "delete", "retention_ms": "-1", "retention_bytes": "-1"}
        await cluster.create(topics["FRAUD_DECISIONS_TOPIC"], [[1], [3]], **kept_whole)
        async with opened(cluster.nodes[1].url, topics) as log:
            ids = [id_in_partition(number, 0, PARTITIONS) for number in range(PARTITIONS)]
            for number, id_ in enumerate(ids):
                await log.append(number, [id_])
                assert await log.questions.decision(number, 0) == decision(id_)
            cluster.nodes[3].kill()
            while log.questions._reader.has_leader(1):
                with suppress(KafkaError):
                    await log.questions.decision(1, 0)
            may_fail = held_up(monkeypatch, partition=1)
            lost = [asyncio.create_task(log.questions.decision(1, 0)) for _ in range(5)]
            await asyncio.sleep(0)
            assert await log.questions.decision(0, 0) == decision(ids[0])
            assert not any(each.done() for each in lost)
            may_fail.set()
            await asyncio.to_thread(cluster.nodes[3].restart)
            assert await asyncio.gather(*lost, return_exceptions=True)
            while True:
                with suppress(KafkaError):
                    assert await log.questions.decision(1, 0) == decision(ids[1])
                    break
    finally:
        cluster.stop()


def held_up(monkeypatch: pytest.MonkeyPatch, partition: int) -> asyncio.Event:
    """Have the broker asked for the end of a partition only once the returned event is set.

    How soon a client gives up on a partition without a leader is not for a test to rely on.
    """
    released = asyncio.Event()
    ends = LogReader.ends

    async def late(reader: LogReader, numbers: Sequence[int]) -> dict[int, End]:
        if partition in numbers:
            await released.wait()
        return await ends(reader, numbers)

    monkeypatch.setattr(LogReader, "ends", late)
    return released
