"""An index that is damaged while a worker runs is made anew from the log in place, once."""

from __future__ import annotations

import asyncio
import os
import resource
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest

from fraudapp.decisions.batch import Batch
from fraudapp.decisions.catch_ups import Unread
from fraudapp.decisions.index import DecisionIndex, IndexDamaged
from fraudapp.decisions.log import DecisionLog
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.producer import BatchProducer
from fraudapp.local.server import Server
from fraudapp.process.disk import DiskUnusable
from fraudapp.settings import load
from models.records import Decision
from tests.support.damage import FILES, WAYS, damage
from tests.support.decisions import decision

PATIENCE = 60.0


class Bench:
    """A decision log, used as the agent uses it."""

    def __init__(self, kafka: Server, topics: dict[str, str], folder: Path) -> None:
        self.settings = load(
            {
                **topics,
                "FRAUD_BROKER_URL": kafka.url,
                "FRAUD_DATA_DIR": str(folder),
                "FRAUD_TOPIC_PARTITIONS": "1",
            }
        )
        self.producer = BatchProducer(self.settings)
        self.failed: asyncio.Future[BaseException] = asyncio.get_running_loop().create_future()
        self.log = DecisionLog(self.settings, self.producer, self._ended)
        self.folder = folder / "ledger" / "partition-0"
        self._ids = (f"t{number}" for number in count())
        self.decided: dict[str, Decision] = {}

    async def start(self) -> None:
        await kafka_topics.ensure(self.settings)
        await self.producer.start()
        await self.log.open()

    async def stop(self) -> None:
        await self.log.close()
        await self.producer.stop()

    async def decide(self, number: int = 50) -> None:
        """Decide so many transactions, all of them new."""
        new = [decision(next(self._ids)) for _ in range(number)]
        while new:
            index = await self.log.ready(0, generation=1)
            try:
                known = index.find([each.transaction_id for each in new])
            except IndexDamaged as exc:
                self.log.repair(exc)
                continue
            new = [each for each in new if each.transaction_id not in known]
            self.decided |= {each.transaction_id: each for each in new}
            if new and await self.log.append(0, Batch(new), index.next_offset):
                break

    async def known(self) -> dict[str, Decision]:
        """Look up everything that was decided."""
        while True:
            index = await self.log.ready(0, generation=1)
            try:
                return index.find(list(self.decided))
            except IndexDamaged as exc:
                self.log.repair(exc)

    async def flush(self) -> None:
        """Have all of the index on disk."""
        (await self.index())._db.flush()

    async def index(self) -> DecisionIndex:
        return await self.log.ready(0, generation=1)

    def _ended(self, task: asyncio.Task[DecisionIndex]) -> None:
        if not task.cancelled() and (exc := task.exception()):
            self.failed.set_result(exc)


@pytest.fixture
async def bench(kafka: Server, topics: dict[str, str], tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(kafka, topics, tmp_path)
    await bench.start()
    for _ in range(3):
        await bench.decide()
        await bench.flush()
    yield bench
    await bench.stop()


@pytest.mark.parametrize("way", WAYS)
async def test_whatever_is_damaged_while_it_runs_everything_stays_decided_once(
    bench: Bench, way: str
) -> None:
    for kind in FILES:
        bench.log._indexes._fresh_until.clear()  # of another day
        for _ in range(3):
            await bench.decide()
            await bench.flush()
        damage(bench.folder, kind, way)
        await bench.decide()
        assert await bench.known() == bench.decided
        index = await bench.index()
        assert sum(index.counts.values()) == index.next_offset == len(bench.decided)
        assert not bench.failed.done()
    await bench.log.close()
    again = DecisionLog(bench.settings, bench.producer)
    await again.open()
    assert (await again.ready(0, generation=2)).find(list(bench.decided)) == bench.decided
    await again.close()


async def test_what_the_log_took_before_the_damage_showed_is_decided(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    index = await bench.index()
    index._db.close()  # writes fail from now on, as all else does
    new = [decision("last")]
    assert not await bench.log.append(0, Batch(new), index.next_offset)
    assert bench.log.index(0) is None
    assert (await bench.index()).find(["last"]) == {"last": new[0]}
    assert caplog.text.count("is made anew from partition 0") == 1
    assert str(bench.folder) in caplog.text


async def test_damage_that_comes_back_at_once_ends_it(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        index = await bench.index()
        bench.log.repair(IndexDamaged(index, "no such block"))
        bench.log.repair(IndexDamaged(index, "no such block"))  # somebody else finds out too
    with pytest.raises(DiskUnusable, match=r"just after it was made anew.*FRAUD_DATA_DIR"):
        await bench.index()
    assert isinstance(await asyncio.wait_for(bench.failed, PATIENCE), DiskUnusable)
    assert caplog.text.count("is made anew from partition 0") == 1


async def test_how_much_is_left_to_be_read_is_told(bench: Bench, tmp_path: Path) -> None:
    for _ in range(10):
        await bench.decide(1_000)
    await bench.log.close()
    damage(bench.folder, "CURRENT", "removed")
    again = DecisionLog(bench.settings, bench.producer)
    await again.open()
    reading = asyncio.create_task(again.ready(0, generation=2))
    told: list[Unread] = []
    while not reading.done():
        if (unread := again.unread(0)) is not None and (not told or told[-1] != unread):
            told.append(unread)
        await asyncio.sleep(0)
    total = len(bench.decided)
    assert [each.records for each in told] == sorted((e.records for e in told), reverse=True)
    assert told[0] == (total, None)
    assert all(each.seconds and each.seconds > 0 for each in told if 0 < each.records < total)
    assert any(0 < each.records < total for each in told)
    assert again.unread(0) is None
    await again.close()


@contextmanager
def no_more_files() -> Iterator[None]:
    """Let this process open none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    resource.setrlimit(resource.RLIMIT_NOFILE, (1_000, hard))
    try:
        with suppress(OSError):
            while True:
                taken.append(os.dup(0))
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for each in taken:
            os.close(each)


async def test_an_index_for_which_there_were_no_files_is_opened_again_and_not_made_anew(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.decide()
    index = await bench.index()
    with no_more_files():
        with pytest.raises(Exception, match="Too many open files"):
            index._db.flush()
        deciding = asyncio.create_task(bench.decide(4_000))
        while "cannot be written to now" not in caplog.text and not deciding.done():
            await asyncio.sleep(0.01)
        assert not deciding.done()
    await asyncio.wait_for(deciding, PATIENCE)
    assert await bench.known() == bench.decided
    assert "made anew" not in caplog.text
    again = await bench.index()
    assert again is not index
    assert sum(again.counts.values()) == again.next_offset == len(bench.decided)
