"""A decision is made on what was known, or not at all."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from fraudapp import topics as kafka_topics
from fraudapp.appender import Appender
from fraudapp.decision_log import DecisionLog
from fraudapp.local.server import Server
from fraudapp.settings import load
from fraudapp.stores.base import Batch
from tests.unit.decisions import decision, id_at_home

X, Y = (id_at_home(0, number, 4) for number in range(2))


class Worker:
    """A decision log with the appender that it needs."""

    def __init__(self, kafka: Server, topics: dict[str, str], folder: Path) -> None:
        self.settings = load(
            {**topics, "FRAUD_BROKER_URL": kafka.url, "FRAUD_DATA_DIR": str(folder)}
        )
        self._appender = Appender(self.settings)
        self.log = DecisionLog(self.settings, self._appender)

    async def start(self) -> None:
        await kafka_topics.ensure(self.settings)
        await self._appender.start()
        await self.log.open()

    async def stop(self) -> None:
        await self.log.close()
        await self._appender.stop()


@pytest.fixture
async def workers(
    kafka: Server, topics: dict[str, str], tmp_path: Path
) -> AsyncIterator[list[Worker]]:
    workers = [Worker(kafka, topics, tmp_path / name) for name in "ab"]
    for worker in workers:
        await worker.start()
    yield workers
    for worker in workers:
        await worker.stop()


async def test_nothing_is_written_if_the_ledger_has_moved_since_it_was_asked(
    workers: list[Worker],
) -> None:
    ours, theirs = (worker.log for worker in workers)
    ledger = await ours.ready(0, generation=1)
    asked = ledger.cursor
    assert not ledger.find([X])
    await theirs.ready(0, generation=2)
    assert await theirs.append(0, Batch([decision(X, score=0.1)]), asked)
    await ours.ready(0, generation=3)  # a rebalance, while what was decided here waits
    assert not await ours.append(0, Batch([decision(X, score=0.9)]), asked)
    assert ledger.find([X])[X].score == 0.1
    end = ledger.cursor
    assert await ours.append(0, Batch([decision(Y)]), end)
    assert ledger.cursor == end + 1


async def test_what_others_have_written_meanwhile_comes_first(workers: list[Worker]) -> None:
    ours, theirs = (worker.log for worker in workers)
    ledger = await ours.ready(0, generation=1)
    asked = ledger.cursor
    await theirs.ready(0, generation=2)
    assert await theirs.append(0, Batch([decision(X, score=0.1)]), asked)
    assert not await ours.append(0, Batch([decision(n, score=0.9) for n in (X, Y)]), asked)
    assert {n: each.score for n, each in ledger.find([X, Y]).items()} == {X: 0.1, Y: 0.9}
