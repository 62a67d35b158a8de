"""A log that was truncated, and may have grown again, is followed as it is now."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from itertools import count
from pathlib import Path

import pytest

from fraudapp.decisions.batch import Batch
from fraudapp.decisions.index import DecisionIndex
from fraudapp.decisions.log import DecisionLog
from fraudapp.decisions.reader import LogReader
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.producer import BatchProducer
from fraudapp.settings import load
from fraudapp.sinks.base import DecisionRejected
from fraudapp.sinks.progress import Progress
from fraudapp.sinks.writer import SinkWriter
from models.records import Decision
from tests.conftest import topics_of
from tests.integration.test_sink_writer import PATIENCE, HeldSink
from tests.servers import topics
from tests.servers.choice import real
from tests.servers.kafka import Kafka
from tests.servers.restored import Restorable
from tests.support.decisions import decision


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kafka]:
    """One that is restarted, and forgets."""
    kafka = real(Kafka, tmp_path_factory.mktemp("broker") / "kafka")
    assert isinstance(kafka, Kafka)
    kafka.start()
    yield kafka
    kafka.stop()


async def refuse(sink: str, refused: Decision, exc: DecisionRejected) -> None:
    raise AssertionError(f"{sink} refused {refused.transaction_id}")


async def caught_up(sink_writer: SinkWriter) -> None:
    """Return once the sink has all there is."""

    async def nothing_left() -> None:
        while sink_writer.lag:
            await asyncio.sleep(0.01)

    await asyncio.wait_for(nothing_left(), PATIENCE)


class Bench:
    """Decisions of one partition, made on a log of one's own and read again from the broker."""

    def __init__(self, broker: Kafka, topics: dict[str, str], folder: Path) -> None:
        self.settings = load(
            {
                **topics,
                "FRAUD_BROKER_URL": broker.url,
                "FRAUD_DATA_DIR": str(folder),
                "FRAUD_TOPIC_PARTITIONS": "1",
            }
        )
        self.topic = self.settings.decisions_topic
        self.folder = folder / "ledger" / "partition-0"
        self._ids = (f"t{number}" for number in count())

    async def start(self) -> None:
        await kafka_topics.ensure(self.settings)
        self.producer = BatchProducer(self.settings)
        await self.producer.start()
        self.log = DecisionLog(self.settings, self.producer)
        await self.log.open()

    async def stop(self) -> None:
        await self.log.close()
        await self.producer.stop()

    async def decide(self, number: int, generation: int = 1) -> None:
        """Decide so many new transactions, as the agent does."""
        new = [decision(next(self._ids)) for _ in range(number)]
        tries = 0
        while new:
            index = await self.log.ready(0, generation)
            known = index.find([each.transaction_id for each in new])
            new = [each for each in new if each.transaction_id not in known]
            if new and await self.log.append(0, Batch(new), index.next_offset):
                break
            assert (tries := tries + 1) < 3, "decided again and again"

    @asynccontextmanager
    async def following(self, sink: HeldSink) -> AsyncIterator[SinkWriter]:
        """Let a sink follow the log as it is now."""
        await self.log.ready(0, generation=1)
        progress = Progress(self.settings, self.producer, [sink.name])
        sink_writer = SinkWriter(self.settings, sink, self.log, progress, refuse)
        await progress.start()
        await sink_writer.start()
        await sink_writer.assign([0])
        yield sink_writer
        await sink_writer.stop()
        await progress.stop()

    async def written(self) -> list[Decision]:
        """All there is in the log, read by somebody else."""
        reader = LogReader(self.settings)
        await reader.start()
        try:
            end = await reader.end(0)
            return [r.decision async for found in reader.read(0, 0, end) for r in found]
        finally:
            await reader.stop()

    async def agrees(self, generation: int = 1) -> None:
        """Fail unless the index is that of the log, in which nothing is twice."""
        index = await self.log.ready(0, generation)
        written = await self.written()
        ids = [each.transaction_id for each in written]
        assert len(set(ids)) == len(ids) == index.next_offset == sum(index.counts.values())
        everything = [f"t{number}" for number in range(10_000)]
        assert index.find(everything) == dict(zip(ids, written, strict=True))


GROWN = (0, 20, 50, 70)
"""Decisions that a log has got again which has lost fifty."""


@pytest.fixture
async def benches(broker: Kafka, unique: str, tmp_path: Path) -> AsyncIterator[dict[int, Bench]]:
    """One for each of `GROWN`: they share restarts of the broker."""
    made = {
        grown: Bench(broker, topics_of(f"{unique}-{grown}"), tmp_path / str(grown))
        for grown in GROWN
    }
    for bench in made.values():
        await bench.start()
    yield made
    for bench in made.values():
        await bench.stop()


@pytest.fixture
async def bench(broker: Kafka, topics: dict[str, str], tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(broker, topics, tmp_path)
    await bench.start()
    yield bench
    await bench.stop()


@pytest.fixture
def copies(broker: Kafka, tmp_path: Path) -> Restorable:
    return Restorable(broker, tmp_path / "copy")


async def test_an_index_on_disk_of_a_log_that_was_cut_is_made_anew(
    benches: dict[int, Bench], copies: Restorable, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for bench in benches.values():
        await bench.decide(30)
    copies.copy()
    for bench in benches.values():
        await bench.decide(50)
        await bench.log.close()
    copies.put_back(*(bench.topic for bench in benches.values()))
    for grown, bench in benches.items():
        if grown:
            elsewhere = bench.settings.model_copy(update={"data_dir": tmp_path / f"other-{grown}"})
            bench.log = DecisionLog(elsewhere, bench.producer)
            await bench.log.open()
            await bench.decide(grown)
            await bench.log.close()
        bench.log = DecisionLog(bench.settings, bench.producer)
        await bench.log.open()
        await bench.agrees()
        noticed = f"of {bench.topic}, which ends at {30 + grown}, is not the log that was read up"
        assert caplog.text.count(f"{noticed} to 80") == 1, grown
        await bench.decide(5)
        await bench.agrees()
        await bench.agrees(generation=2)
        assert "is not the log that was read up to 85" not in caplog.text


async def test_a_log_that_has_lost_its_beginning_is_told_where_it_is_missed(
    bench: Bench, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.decide(30)
    await bench.log.close()
    await topics.cut_before(bench.settings.broker_url, bench.topic, 0, 20)
    bench.log = DecisionLog(bench.settings, bench.producer)
    await bench.log.open()
    await bench.decide(1)
    await bench.log.close()
    assert "begins at 20" not in caplog.text
    elsewhere = bench.settings.model_copy(update={"data_dir": tmp_path / "elsewhere"})
    bench.log = DecisionLog(elsewhere, bench.producer)
    await bench.log.open()
    await bench.log.ready(0, generation=1)
    (told,) = [each for each in caplog.records if each.levelname == "CRITICAL"]
    assert f"0 of {bench.topic} begins at 20, and what" in told.getMessage()


@pytest.mark.parametrize("running", [True, False])
async def test_a_sink_gets_all_of_a_log_that_was_cut_and_has_grown_again(
    benches: dict[int, Bench], copies: Restorable, running: bool, caplog: pytest.LogCaptureFixture
) -> None:
    benches = {grown: bench for grown, bench in benches.items() if grown}
    sinks = {grown: HeldSink(0.0) for grown in benches}

    async def put_back_and_grow() -> None:
        """Let logs lose their last 50 decisions and get others; sinks take nothing for now."""
        copies.put_back(*(bench.topic for bench in benches.values()))
        for grown, bench in benches.items():
            sinks[grown].gate.clear()
            sinks[grown].kept.clear()
            await bench.decide(grown)

    for bench in benches.values():
        await bench.decide(30)
    async with AsyncExitStack() as stack:
        sink_writers = {
            grown: await stack.enter_async_context(bench.following(sinks[grown]))
            for grown, bench in benches.items()
        }
        for sink_writer in sink_writers.values():
            await caught_up(sink_writer)
        copies.copy()
        for grown, bench in benches.items():
            await bench.decide(50)
            await caught_up(sink_writers[grown])
        if running:
            await put_back_and_grow()
            for grown, bench in benches.items():
                await bench.decide(1)
                assert sink_writers[grown].lag
                sinks[grown].gate.set()
                await caught_up(sink_writers[grown])
    if not running:
        await put_back_and_grow()
    for grown, bench in benches.items():
        sink = sinks[grown]
        async with bench.following(sink) as sink_writer:
            assert sink_writer.lag == (0 if running else 30 + grown)
            sink.gate.set()
            await bench.decide(1)
            await caught_up(sink_writer)
        await bench.agrees()
        assert {each.transaction_id for each in await bench.written()} <= set(sink.kept)
        saves = sink.saves
        async with bench.following(sink):
            await bench.decide(1)
        assert sink.saves <= saves + 1
    assert caplog.text.count("has changed since") == len(benches)


@pytest.mark.parametrize("whole", [False, True])
async def test_a_log_that_is_cut_while_it_is_written_is_noticed_by_the_next_decision(
    bench: Bench, copies: Restorable, whole: bool, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.decide(30)
    copies.copy()
    await bench.decide(50)
    copies.put_back(*([] if whole else [bench.topic]))
    await bench.decide(5)
    await bench.agrees()
    assert caplog.text.count("is not the log that was read up to 80") == 1
    await bench.decide(100)
    await bench.agrees()


async def test_an_index_of_a_version_without_stamps_is_taken_as_it_is_and_stamped(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.decide(30)
    index = await bench.log.ready(0, 1)
    index._db.delete(b"\x00stamp")
    await bench.log.close()
    with closing(DecisionIndex(bench.folder)) as index:
        assert (index.next_offset, index.fingerprint) == (30, None)
    bench.log = DecisionLog(bench.settings, bench.producer)
    await bench.log.open()
    await bench.decide(1)
    await bench.agrees()
    await bench.agrees(generation=2)
    assert "made anew" not in caplog.text
    assert (await bench.log.ready(0, 2)).fingerprint


async def test_a_foreign_record_at_the_end_of_the_log_is_skipped_while_it_is_there(
    bench: Bench, copies: Restorable, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.decide(3)
    copies.copy()
    await bench.producer.append(bench.topic, 0, [(b"x", b"x", [])] * 5, "testing")
    assert (await bench.log.ready(0, 2)).next_offset == 8
    copies.put_back(bench.topic)
    assert (await bench.log.ready(0, 3)).next_offset == 3
    await bench.decide(4, generation=3)
    await bench.agrees(generation=3)
    assert "made anew" not in caplog.text
