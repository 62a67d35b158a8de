"""A sink follows the log through outages, rebalances and both at the same time."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from datetime import date
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from aiokafka.consumer.fetcher import PartitionRecords

from fraudapp.decisions.batch import Batch
from fraudapp.decisions.log import DecisionLog
from fraudapp.decisions.reader import LogReader
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.producer import BatchProducer
from fraudapp.local.server import Server
from fraudapp.settings import Settings, load
from fraudapp.sinks import writer
from fraudapp.sinks.base import DecisionRejected, SinkUnavailable
from fraudapp.sinks.progress import Progress
from fraudapp.sinks.writer import SinkWriter
from models.records import Decision
from tests.support.decisions import decision, id_in_partition

PARTITIONS = 2
PATIENCE = 30.0
"""Seconds that a sink may take to catch up."""


class HeldSink:
    """A sink that answers only while its gate is open, like one whose server is paused."""

    name = "held"
    max_batch = 100

    def __init__(self, linger: float) -> None:
        self.linger = linger
        self.kept: list[str] = []
        self.saves = 0
        self.asked = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()
        self.down = False

    async def open(self) -> None:
        if self.down:
            raise SinkUnavailable("held: down")

    async def close(self) -> None: ...

    async def ping(self) -> None: ...

    async def save(self, batch: Batch) -> None:
        self.asked.set()
        await self.gate.wait()
        self.saves += 1
        self.kept += [each.transaction_id for each in batch.decisions]

    async def purge(self, before: date, *, dry_run: bool = False) -> int:
        return 0


class Bench:
    """The sink writer of a held sink, with a decision log of its own."""

    def __init__(self, settings: Settings, sink: HeldSink) -> None:
        self.sink = sink
        self._settings = settings
        self._producer = BatchProducer(settings)
        self._log = DecisionLog(settings, self._producer)
        self.progress = Progress(settings, self._producer, [sink.name])
        self.sink_writer = self.another_sink_writer()
        self.appended: list[str] = []

    async def start(self) -> None:
        await self._producer.start()
        await self._log.open()
        for partition in range(PARTITIONS):
            await self._log.ready(partition, generation=1)
        await self.progress.start()
        await self.sink_writer.start()
        await self.sink_writer.assign(range(PARTITIONS))

    def another_sink_writer(self) -> SinkWriter:
        return SinkWriter(
            self._settings, self.sink, self._log, self.progress, self._fail_on_rejected
        )

    def another_reader(self) -> LogReader:
        return LogReader(self._settings, group="another")

    async def stop(self) -> None:
        self.sink.gate.set()
        await self.sink_writer.stop()
        await self.progress.stop()
        await self._log.close()
        await self._producer.stop()

    async def start_again(self) -> None:
        """Let the sink writer of another worker follow the log."""
        await self.sink_writer.stop()
        self.sink.kept.clear()
        self.sink_writer = self.another_sink_writer()
        await self.sink_writer.start()
        await self.sink_writer.assign(range(PARTITIONS))

    async def append(self, partition: int, count: int = 1, **changes: Any) -> None:
        """Append new decisions to a partition, and enqueue them as the pipeline does."""
        begin = len(self.appended)
        ids = [id_in_partition(partition, begin + each, PARTITIONS) for each in range(count)]
        decisions = [decision(each, **changes) for each in ids]
        self.appended += ids
        index = await self._log.ready(partition, generation=1)
        start, batch = index.next_offset, Batch(decisions)
        assert await self._log.append(partition, batch, start)
        self.sink_writer.enqueue(partition, start, index.next_offset, batch)

    async def all_kept(self) -> None:
        """Wait until the sink has every decision; fail if it never does."""
        expected = set(self.appended)
        deadline = monotonic() + PATIENCE
        while self.sink_writer.lag or set(self.sink.kept) != expected:
            assert monotonic() < deadline, f"the sink lags by {self.sink_writer.lag} decisions"
            await asyncio.sleep(0.01)

    async def _fail_on_rejected(self, sink: str, rejected: Decision, exc: DecisionRejected) -> None:
        raise AssertionError(f"{sink} rejected {rejected.transaction_id}")


@pytest.fixture(params=[0.0, 0.3], ids=["at once", "linger"])
async def bench(
    request: pytest.FixtureRequest, kafka: Server, topics: dict[str, str], tmp_path: Path
) -> AsyncIterator[Bench]:
    settings = load(
        {
            **topics,
            "FRAUD_BROKER_URL": kafka.url,
            "FRAUD_DATA_DIR": str(tmp_path),
            "FRAUD_TOPIC_PARTITIONS": str(PARTITIONS),
        }
    )
    await kafka_topics.ensure(settings)
    bench = Bench(settings, HeldSink(request.param))
    await bench.start()
    yield bench
    await bench.stop()


@pytest.mark.parametrize("again", [[0, 1], [0]])
async def test_partitions_assigned_while_the_sink_is_busy_are_followed(
    bench: Bench, again: Sequence[int]
) -> None:
    bench.sink.gate.clear()
    await bench.append(0, 3)
    await bench.sink.asked.wait()
    await asyncio.wait_for(bench.sink_writer.assign(again), PATIENCE)
    await bench.append(0, 3)
    bench.sink.gate.set()
    await bench.all_kept()
    await bench.append(0)
    await bench.all_kept()


async def test_partitions_are_assigned_while_a_catch_up_waits_for_the_sink(
    bench: Bench,
) -> None:
    bench.sink.gate.clear()
    await bench.sink_writer.assign([])
    await bench.append(0, 3)
    await bench.sink_writer.assign([0, 1])
    await bench.sink.asked.wait()
    await asyncio.wait_for(bench.sink_writer.assign([0, 1]), PATIENCE)
    bench.sink.gate.set()
    await bench.append(1)
    await bench.all_kept()


async def test_decisions_of_a_steady_trickle_are_saved_together_if_the_sink_lingers(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    lingers, bench.sink.max_batch = bench.sink.linger > 0, 30
    # No clock ends the wait for more decisions: only a full batch does.
    monkeypatch.setattr(writer, "LINGER_IDLE_TIMEOUT", 10 * PATIENCE)
    bench.sink.linger = 10 * PATIENCE if lingers else 0.0
    for _ in range(30):
        await bench.append(0)
        if not lingers:
            await bench.all_kept()
    await bench.all_kept()
    assert bench.sink.kept == bench.appended
    assert bench.sink.saves == (1 if lingers else 30)


@pytest.mark.parametrize("down", [False, True])
async def test_a_start_learns_that_a_sink_is_open_or_that_it_is_down(
    bench: Bench, down: bool
) -> None:
    await bench.sink_writer.stop()
    bench.sink.down = down
    again = bench.another_sink_writer()
    await again.start()
    await asyncio.wait_for(again.attempted(), PATIENCE)
    assert (again.failure is not None) == down
    await again.stop()


async def test_a_catch_up_saves_as_many_decisions_at_once_as_the_sink_likes(
    bench: Bench,
) -> None:
    bench.sink.gate.clear()
    await bench.sink_writer.assign([])
    await bench.append(0, 250)
    bench.sink.gate.set()
    await bench.sink_writer.assign([0])
    await bench.all_kept()
    assert bench.sink.saves == 3
    assert bench.sink.kept == bench.appended


async def test_a_read_that_follows_on_another_drops_nothing_that_was_fetched(bench: Bench) -> None:
    for _ in range(10):
        await bench.append(0, 300)
    reader = bench.another_reader()
    await reader.start()
    await reader.committed([0])
    gc.collect()
    gc.disable()
    try:
        for start in range(0, 3_000, 100):
            read = [each async for each in reader.read(0, start, start + 100)]
            assert sum(map(len, read)) == 100
        left = sum(isinstance(each, PartitionRecords) for each in gc.get_objects())
    finally:
        gc.enable()
        await reader.stop()
    assert left <= 3  # of this reader, of the sink writer and of the log


async def test_records_that_were_read_can_be_read_again(bench: Bench) -> None:
    await bench.append(0, 30)
    reader = bench.another_reader()
    await reader.start()
    await reader.committed([0])
    for start, end in [(0, 10), (10, 20), (5, 15), (15, 30), (0, 30)]:
        read = [each async for records in reader.read(0, start, end) for each in records]
        assert [each.offset for each in read] == list(range(start, end))
    await reader.stop()


async def test_a_committed_offset_beyond_the_end_of_the_log_is_not_taken(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    await bench.append(0, 3)
    await bench.all_kept()
    await bench.sink_writer.stop()
    before = bench.another_sink_writer()
    await before.start()
    await before.assign([0])
    await before._reader.commit({0: 1_000})  # of the log before the broker was restored
    await before.stop()
    await bench.progress.note("held", {0: None})
    bench.sink.kept.clear()
    bench.sink_writer = bench.another_sink_writer()
    await bench.sink_writer.start()
    await bench.sink_writer.assign([0])
    assert "the log, which ends at 3, has changed since" in caplog.text
    await bench.append(0, 2)
    await bench.all_kept()
