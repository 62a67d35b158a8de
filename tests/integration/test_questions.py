"""Callers are told where the log ends now, and what is in it, however many ask."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable

import pytest

from fraudapp import topics as kafka_topics
from fraudapp.appender import Appender, NewRecord
from fraudapp.local.server import Server
from fraudapp.log_reader import LogReader
from fraudapp.offsets import End
from fraudapp.questions import Questions
from fraudapp.settings import Settings, load
from fraudapp.stores.base import Batch
from tests.unit.decisions import decision, id_at_home

PARTITIONS = 2


class Log:
    """A decision log that is written to."""

    def __init__(self, settings: Settings) -> None:
        self._topic = settings.decisions_topic
        self.appender = Appender(settings)
        self.questions = Questions(settings)

    async def append(self, number: int, ids: Iterable[str]) -> None:
        batch = Batch([decision(each) for each in ids])
        records: list[NewRecord] = [
            (key, value, []) for key, value in zip(batch.keys, batch.encoded, strict=True)
        ]
        await self.appender.append(self._topic, number, records, "publishing")


@pytest.fixture
async def log(kafka: Server, topics: dict[str, str]) -> AsyncIterator[Log]:
    settings = load(
        {**topics, "FRAUD_BROKER_URL": kafka.url, "FRAUD_TOPIC_PARTITIONS": str(PARTITIONS)}
    )
    await kafka_topics.ensure(settings)
    log = Log(settings)
    await log.appender.start()
    await log.questions.start()
    yield log
    await log.questions.stop()
    await log.appender.stop()


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
        await log.append(0, [id_at_home(0, count, PARTITIONS)])
        later = await asyncio.gather(*(log.questions.end(0) for _ in range(100)))
        assert set(later) == {End(count, count)}
        assert {each.high_water for each in await asyncio.gather(*earlier)} <= {count - 1, count}
    assert asked <= 10
    assert await log.questions.end(1) == End(0, 0)


async def test_a_decision_is_found_where_it_is(log: Log) -> None:
    ids = [id_at_home(1, number, PARTITIONS) for number in range(40)]
    for begin in range(0, 40, 10):
        await log.append(1, ids[begin : begin + 10])
    found = await asyncio.gather(*(log.questions.decision(1, at) for at in range(40)))
    assert found == [decision(id_) for id_ in ids]
