"""A sink goes on from its checkpoint, or from the beginning if the log has changed since."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaConnectionError

from fraudapp.decisions.batch import Batch
from fraudapp.decisions.fingerprints import Fingerprint, fingerprint_of
from fraudapp.decisions.index import DecisionIndex, IndexDamaged
from fraudapp.settings import load
from fraudapp.sinks import checkpoints
from fraudapp.sinks.checkpoints import Checkpoints, Written
from tests.support.decisions import decision, id_in_partition
from tests.support.memory import MemoryBroker, MemoryDecisionLog, MemoryLogReader, MemoryProgress

PARTITIONS = 2
SINK = "memory"
IDS = [id_in_partition(0, number, PARTITIONS) for number in range(6)]


class Failing(MemoryLogReader):
    """A reader that records its commits, and fails when told to."""

    failure: Exception | None = None

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.commits: list[dict[int, int]] = []

    async def commit(self, progress: Mapping[int, int]) -> None:
        if self.failure:
            raise self.failure
        self.commits.append(dict(progress))
        await super().commit(progress)


class Bench:
    """The checkpoints of a sink, with a decision log in memory."""

    def __init__(self, folder: Path) -> None:
        self.settings = load({"FRAUD_TOPIC_PARTITIONS": str(PARTITIONS)})
        self.topic = self.settings.decisions_topic
        self.broker = MemoryBroker({self.topic: PARTITIONS})
        self.log = MemoryDecisionLog(self.settings, self.broker, folder)
        self.reader = Failing(self.broker, self.settings, SINK)
        self.progress = MemoryProgress()
        self._generation = 0

    def checkpoints(self) -> Checkpoints:
        """Return the checkpoints as a worker has them that has just started."""
        log, reader, progress = (cast(Any, e) for e in (self.log, self.reader, self.progress))
        return Checkpoints(SINK, log, reader, progress)

    def put(self, *transaction_ids: str, score: float = 0.875) -> list[Fingerprint]:
        """Append decisions to partition 0, and return their fingerprints."""
        found = []
        for each in transaction_ids:
            batch = Batch([decision(each, score=score)])
            record = self.broker.put(self.topic, 0, batch.encoded[0], batch.keys[0])
            found.append(fingerprint_of(record.offset, each, batch.encoded[0]))
        return found

    async def read_in(self) -> DecisionIndex:
        """Read all partitions in."""
        self._generation += 1
        for partition in range(PARTITIONS):
            await self.log.ready(partition, self._generation)
        index = self.log.index(0)
        assert index
        return index

    async def remade(self, count: int, *others: str) -> None:
        """Keep so many records of partition 0, append others, and read a new index in."""
        index = await self.read_in()
        del self.broker.topics[self.topic][0][count:]
        self.put(*others, score=0.5)
        self.log.repair(IndexDamaged(index, "thrown away"))
        await self.read_in()

    async def loaded(self, *partitions: int) -> dict[int, Written]:
        return await self.checkpoints().load(partitions or (0,))


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.log.close()


async def test_a_sink_that_has_nothing_begins_at_the_beginning(bench: Bench) -> None:
    bench.put(*IDS)
    await bench.read_in()
    assert await bench.loaded(0, 1) == {0: Written(0, None), 1: Written(0, None)}


async def test_what_was_saved_is_loaded_again(bench: Bench) -> None:
    prints = bench.put(*IDS)
    await bench.read_in()
    written = {0: Written(4, prints[3]), 1: Written(0, None)}
    await bench.checkpoints().save(written, note=True)
    assert await bench.loaded(0, 1) == written
    bench.broker.committed.clear()  # they expire; the note does not
    assert await bench.loaded(0, 1) == written


async def test_a_committed_offset_counts_if_it_was_set_back_but_not_if_it_is_ahead(
    bench: Bench,
) -> None:
    prints = bench.put(*IDS)
    await bench.read_in()
    await bench.checkpoints().save({0: Written(4, prints[3])}, note=True)
    bench.broker.committed[SINK, 0] = 6
    assert await bench.loaded() == {0: Written(4, prints[3])}
    bench.broker.committed[SINK, 0] = 2
    assert await bench.loaded() == {0: Written(2, prints[1])}
    bench.broker.committed[SINK, 0] = 0
    assert await bench.loaded() == {0: Written(0, None)}


async def test_without_a_note_the_last_decision_before_the_committed_offset_is_searched(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first,) = bench.put(IDS[0])
    for _ in range(2):
        bench.broker.put(bench.topic, 0, b"no decision")
    await bench.read_in()
    bench.broker.committed[SINK, 0] = 3
    assert await bench.loaded() == {0: Written(3, first)}
    monkeypatch.setattr(checkpoints, "MAX_RECORDS_READ", 2)
    assert await bench.loaded() == {0: Written(3, None)}


async def test_of_two_decisions_under_one_id_only_the_first_is_a_fingerprint(bench: Bench) -> None:
    first, _ = bench.put(IDS[0], IDS[0])
    await bench.read_in()
    bench.broker.committed[SINK, 0] = 2
    assert await bench.loaded() == {0: Written(2, first)}


@pytest.mark.parametrize(("kept", "others"), [(0, IDS[:5]), (3, IDS[3:]), (1, [])])
async def test_another_log_is_saved_from_its_beginning_with_a_warning(
    bench: Bench, caplog: pytest.LogCaptureFixture, kept: int, others: Sequence[str]
) -> None:
    prints = bench.put(*IDS[:5])
    await bench.read_in()
    running = bench.checkpoints()
    written = Written(5, prints[4])
    await running.save({0: written}, note=True)
    assert running.checked(0, written) == written
    await bench.remade(kept, *others)
    caplog.clear()
    assert running.checked(0, written) == Written(0, None)
    assert f"{SINK} has partition 0 of the log up to 5" in caplog.text
    assert "all of it is saved again" in caplog.text
    assert await bench.loaded() == {0: Written(0, None)}


async def test_a_log_that_has_lost_only_foreign_records_keeps_its_checkpoint(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, checkpoints.__name__)
    prints = bench.put(*IDS[:2])
    bench.broker.put(bench.topic, 0, b"no decision")
    await bench.remade(2)
    assert bench.checkpoints().checked(0, Written(3, prints[1])) == Written(2, prints[1])
    assert "saved again" not in caplog.text


async def test_an_offset_without_a_fingerprint_counts_if_the_log_is_that_long(
    bench: Bench,
) -> None:
    bench.put(*IDS[:2])
    await bench.read_in()
    running = bench.checkpoints()
    assert running.checked(0, Written(2, None)) == Written(2, None)
    assert running.checked(0, Written(3, None)) == Written(0, None)


async def test_what_was_written_stays_while_the_index_is_made_anew(bench: Bench) -> None:
    running, written = bench.checkpoints(), Written(9, None)
    assert running.checked(0, written) == written


async def test_only_offsets_that_have_moved_are_committed(bench: Bench) -> None:
    prints = bench.put(*IDS)
    await bench.read_in()
    bench.broker.committed[SINK, 0] = 2
    running = bench.checkpoints()
    await running.load([0, 1])
    await running.save({0: Written(2, prints[1]), 1: Written(0, None)}, note=False)
    assert bench.reader.commits == []
    for _ in range(2):
        await running.save({0: Written(4, prints[3]), 1: Written(0, None)}, note=False)
    assert bench.reader.commits == [{0: 4}]
    assert bench.progress.reached(SINK, 0) is None  # no note was asked for


async def test_a_note_does_not_forget_a_decision_for_an_offset_without_one(bench: Bench) -> None:
    (first,) = bench.put(IDS[0])
    await bench.read_in()
    running = bench.checkpoints()
    await running.save({0: Written(1, first)}, note=True)
    await running.save({0: Written(2, None)}, note=True)
    assert bench.progress.reached(SINK, 0) == first
    await running.save({0: Written(0, None)}, note=True)  # it begins anew
    assert bench.progress.reached(SINK, 0) is None


async def test_a_broker_that_fails_is_logged_and_asked_again(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    (first,) = bench.put(IDS[0])
    await bench.read_in()
    running = bench.checkpoints()
    bench.reader.failure = KafkaConnectionError("no route")
    await running.save({0: Written(1, first)}, note=True)
    assert f"noting how far {SINK} has come" in caplog.text
    assert "no route" in caplog.text
    assert bench.broker.committed == {}
    bench.reader.failure = None
    await running.save({0: Written(1, first)}, note=True)
    assert bench.broker.committed == {(SINK, 0): 1}
    assert "succeeded again" in caplog.text
