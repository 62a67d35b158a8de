"""An append is refused if the log has moved since its ids were looked up."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from fraudapp.decisions.batch import Batch, encode
from fraudapp.decisions.index import DecisionIndex
from fraudapp.decisions.log import DecisionLog
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.producer import BatchProducer, size_of
from fraudapp.kafka.topic_configs import SMALLEST_LIMIT
from fraudapp.local.server import Server
from fraudapp.settings import load
from models.records import Reason
from tests.servers.kafka import Kafka
from tests.servers.topics import configure
from tests.support.decisions import decision, id_in_partition
from tests.support.readback import eventually
from tests.support.transactions import transaction

IN_MEMORY = ("rocksdb.num-entries-active-mem-table", "rocksdb.num-entries-imm-mem-tables")
X, Y = (id_in_partition(0, number, 4) for number in range(2))


class Worker:
    """A decision log with the producer that it needs."""

    def __init__(self, kafka: Server, topics: dict[str, str], folder: Path) -> None:
        self.settings = load(
            {**topics, "FRAUD_BROKER_URL": kafka.url, "FRAUD_DATA_DIR": str(folder)}
        )
        self._producer = BatchProducer(self.settings)
        self.log = DecisionLog(self.settings, self._producer)

    async def start(self) -> None:
        await kafka_topics.ensure(self.settings)
        await self._producer.start()
        await self.log.open()

    async def stop(self) -> None:
        await self.log.close()
        await self._producer.stop()


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


async def test_nothing_is_written_if_the_index_has_moved_since_it_was_asked(
    workers: list[Worker],
) -> None:
    ours, theirs = (worker.log for worker in workers)
    index = await ours.ready(0, generation=1)
    asked = index.next_offset
    assert not index.find([X])
    await theirs.ready(0, generation=2)
    assert await theirs.append(0, Batch([decision(X, score=0.1)]), asked)
    await ours.ready(0, generation=3)  # a rebalance, while what was decided here waits
    assert not await ours.append(0, Batch([decision(X, score=0.9)]), asked)
    assert index.find([X])[X].score == 0.1
    end = index.next_offset
    assert await ours.append(0, Batch([decision(Y)]), end)
    assert index.next_offset == end + 1


async def test_an_index_that_cannot_be_written_is_let_go_of_and_the_others_are_written(
    workers: list[Worker], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = workers[0].log
    broken, sound = [await log.ready(number, generation=1) for number in (0, 1)]
    new = [decision(id_in_partition(1, number, 4)) for number in range(3)]
    assert await log.append(1, Batch(new), sound.next_offset)
    broken._db.close()
    log.flush_if_idle()  # something has just come to the sound one
    assert log.index(0) is None
    assert log.index(1) is sound
    assert "it is made anew from partition 0 of the log" in caplog.text
    log.flush_if_idle()
    await eventually(lambda: not any(map(sound._db.property_int_value, IN_MEMORY)))
    shutil.copytree(sound.folder, tmp_path / "killed")  # what kill -9 would leave
    with closing(DecisionIndex(tmp_path / "killed")) as left:
        assert not left.made_anew
        assert left.next_offset == sound.next_offset == len(new)
        assert left.find([each.transaction_id for each in new]) == {
            each.transaction_id: each for each in new
        }
    assert (await log.ready(0, generation=1)).next_offset == 0


async def test_what_others_have_written_meanwhile_comes_first(workers: list[Worker]) -> None:
    ours, theirs = (worker.log for worker in workers)
    index = await ours.ready(0, generation=1)
    asked = index.next_offset
    await theirs.ready(0, generation=2)
    assert await theirs.append(0, Batch([decision(X, score=0.1)]), asked)
    assert not await ours.append(0, Batch([decision(n, score=0.9) for n in (X, Y)]), asked)
    assert {n: each.score for n, each in index.find([X, Y]).items()} == {X: 0.1, Y: 0.9}


@pytest.mark.parametrize("takes", [16_384, 100_000])
async def test_decisions_are_sent_in_batches_that_the_topic_takes(
    workers: list[Worker], kafka: Kafka, takes: int
) -> None:
    one, other = workers
    index = await one.log.ready(0, generation=1)
    ids = iter(sorted(id_in_partition(0, number, 4) for number in range(3_000)))

    async def append(count: int) -> None:
        new = [decision(next(ids), offset=index.next_offset + place) for place in range(count)]
        assert await one.log.append(0, Batch(new), index.next_offset)
        assert list(index.find([each.transaction_id for each in new]).values()) == new

    await append(1_000)
    await configure(kafka.url, one.settings.decisions_topic, {"max.message.bytes": str(takes)})
    await append(1_000)  # which it took before
    await append(1)
    await append(999)
    again = await other.log.ready(0, generation=2)
    assert again.next_offset == index.next_offset == 3_000  # none is there twice
    assert again.counts == index.counts
    await kafka_topics.ensure(one.settings)


def test_the_largest_decision_fits_into_the_smallest_batch_that_a_log_may_take() -> None:
    longest = "\\" * 128
    each = decision(
        longest,
        score=0.1234567890123456,
        reasons=[Reason("R" * 40, "w" * 200, -1.2345678901234567)] * 3,
        model_version="m" * 64,
        policy_version="p" * 64,
        topic="t" * 249,
        transaction=transaction(longest, nameOrig=longest, nameDest=longest),
    )
    assert size_of((longest.encode(), encode(each), [])) < SMALLEST_LIMIT / 4
