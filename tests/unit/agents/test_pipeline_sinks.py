"""Sinks get all that is decided, and hold up the next batch for a moment at most."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from time import monotonic
from typing import Any, cast

import pytest

from fraudapp.decisions.batch import Batch
from fraudapp.sinks import write_buffer, writer
from fraudapp.sinks.writer import SinkWriter
from tests.support.memory import MemoryLogReader, MemoryProgress, MemorySink, until
from tests.unit.agents.bench import PARTITIONS, SOON, A, B, Bench, C, K, L, M


class SinkBench:
    """A sink writer beside the pipeline, with room for the decision of one input at a time."""

    def __init__(self, bench: Bench, sink: MemorySink) -> None:
        self.bench = bench
        self.sink = sink
        self.writer = SinkWriter(
            bench.settings,
            sink,
            cast("Any", bench.log),
            cast("Any", MemoryProgress()),
            cast("Any", None),
        )
        bench.writers.append(self.writer)

    async def start(self) -> None:
        for each in range(PARTITIONS):
            await self.bench.log.ready(each, 1)
        await self.writer.start()
        await self.writer.attempted()
        await self.writer.assign(range(PARTITIONS))

    async def decide(self, transaction_id: str) -> float:
        """Return how many seconds it took until the next batch could begin."""
        self.bench.put_transactions(transaction_id)
        (part,) = await self.bench.pipeline.begin([self.bench.delivered()])
        began = monotonic()
        await asyncio.wait_for(self.bench.pipeline.finish(part), SOON)
        return monotonic() - began

    async def has(self, *ids: str) -> None:
        await until(lambda: sorted(self.sink.decisions) == sorted(ids))
        assert self.sink.decisions == self.bench.decided()


@pytest.fixture
async def sink_bench(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SinkBench]:
    monkeypatch.setattr(writer, "LogReader", partial(MemoryLogReader, bench.broker))
    monkeypatch.setattr(write_buffer, "MAX_DECISIONS", 1)
    sinks = SinkBench(bench, MemorySink())
    yield sinks
    sinks.sink.go_on()
    await sinks.writer.stop()


class RecordedWriter:
    """A sink writer that records what it is called with."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []

    async def wait_for_capacity(self, batch: Batch) -> None:
        self.calls.append(("wait", [each.transaction_id for each in batch.decisions]))

    def enqueue(self, partition: int, start: int, end: int, batch: Batch) -> None:
        ids = [each.transaction_id for each in batch.decisions]
        self.calls.append(("enqueue", partition, start, end, ids))

    def notify(self) -> None:
        self.calls.append(("notify",))


async def test_each_sink_writer_is_told_which_part_of_the_log_a_batch_is(bench: Bench) -> None:
    writers = [RecordedWriter(), RecordedWriter()]
    bench.writers += writers
    await bench.another_writer_decides(M, partition=1)
    bench.put_transactions(K, L, partition=1)
    await bench.decide(bench.delivered(1))
    for each in writers:
        assert each.calls == [("wait", [K, L]), ("enqueue", 1, 1, 3, [K, L])]


async def test_sink_writers_look_into_the_log_after_another_writer(bench: Bench) -> None:
    bench.writers.append(recorded := RecordedWriter())
    bench.put_transactions(A, B)
    (part,) = await bench.pipeline.begin([events := bench.delivered()])
    await bench.another_writer_decides(A)
    await bench.pipeline.finish(part)
    await bench.completed(events)
    assert recorded.calls == [("wait", [A, B]), ("notify",)]


async def test_sinks_get_decisions_also_after_another_writer(
    sink_bench: SinkBench,
) -> None:
    bench = sink_bench.bench
    await sink_bench.start()
    await sink_bench.decide(A)
    await sink_bench.has(A)
    bench.put_transactions(B)
    (part,) = await bench.pipeline.begin([bench.delivered()])
    await bench.another_writer_decides(C)
    await bench.pipeline.finish(part)
    await sink_bench.has(A, B, C)


async def test_the_next_batch_waits_for_room_in_a_full_write_buffer_but_not_for_long(
    sink_bench: SinkBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    await sink_bench.start()
    sink_bench.sink.hold()
    await sink_bench.decide(A)
    assert await sink_bench.decide(B) >= writer.BACKPRESSURE_TIMEOUT * 0.9
    # From here on the sink lags, and follows from the log: nobody waits for it any more.
    monkeypatch.setattr(writer, "BACKPRESSURE_TIMEOUT", 10 * SOON)
    await sink_bench.decide(C)
    assert list(sink_bench.bench.decided()) == [A, B, C]
    sink_bench.sink.go_on()
    await sink_bench.has(A, B, C)


async def test_the_next_batch_goes_on_as_soon_as_there_is_room(
    sink_bench: SinkBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BACKPRESSURE_TIMEOUT", 10 * SOON)
    await sink_bench.start()
    sink_bench.sink.hold()
    await sink_bench.decide(A)
    await sink_bench.sink.held()
    deciding = asyncio.create_task(sink_bench.decide(B))
    await asyncio.sleep(0.05)
    assert not deciding.done()
    assert list(sink_bench.bench.decided()) == [A]
    sink_bench.sink.go_on()
    await deciding
    await sink_bench.has(A, B)
    assert sink_bench.writer.lag == 0


async def test_nobody_waits_for_a_sink_that_is_down(
    sink_bench: SinkBench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "BACKPRESSURE_TIMEOUT", 10 * SOON)
    sink_bench.sink.up = False
    await sink_bench.start()
    assert sink_bench.writer.failure is not None
    for each in (A, B, C):
        await sink_bench.decide(each)
    assert sink_bench.sink.decisions == {}
    sink_bench.sink.up = True
    await sink_bench.has(A, B, C)
