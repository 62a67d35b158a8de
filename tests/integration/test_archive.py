"""The archive has every line of the decision log, also where workers save it again."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fraudapp.decisions.batch import Batch
from fraudapp.decisions.log import DecisionLog
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.producer import BatchProducer
from fraudapp.local.server import Server
from fraudapp.settings import Settings, load
from fraudapp.sinks.archive.folder import FolderArchive
from fraudapp.sinks.base import DecisionRejected
from fraudapp.sinks.progress import Progress
from fraudapp.sinks.writer import SinkWriter
from models.records import Decision
from tests.support import readback
from tests.support.archived import compare, logged
from tests.support.decisions import DECIDED_AT, decision

PARTITIONS = 2


@pytest.fixture
def environment(kafka: Server, topics: dict[str, str], tmp_path: Path) -> dict[str, str]:
    return {
        **topics,
        "FRAUD_BROKER_URL": kafka.url,
        "FRAUD_DATA_DIR": str(tmp_path / "data"),
        "FRAUD_TOPIC_PARTITIONS": str(PARTITIONS),
    }


@pytest.fixture
async def log(environment: dict[str, str]) -> AsyncIterator[DecisionLog]:
    settings = load(environment)
    await kafka_topics.ensure(settings)
    producer = BatchProducer(settings)
    await producer.start()
    log = DecisionLog(settings, producer)
    await log.open()
    for number in range(PARTITIONS):
        await log.ready(number, generation=1)
    yield log
    await log.close()
    await producer.stop()


def lines(folder: Path) -> list[dict[str, Any]]:
    files = folder.rglob("*.jsonl.gz")
    contents = [gzip.decompress(file.read_bytes()) for file in files]
    return [json.loads(line) for content in contents for line in content.splitlines()]


async def refuse(sink: str, refused: Decision, exc: DecisionRejected) -> None:
    raise AssertionError(f"{sink} refused {refused.transaction_id}")


async def follow(settings: Settings, log: DecisionLog, archive: FolderArchive, number: int) -> None:
    """What a worker does that is assigned this partition, of which nothing is noted as kept."""
    await kafka_topics.ensure(settings)
    producer = BatchProducer(settings)
    await producer.start()
    progress = Progress(settings, producer, [archive.name])
    await progress.start()
    sink_writer = SinkWriter(settings, archive, log, progress, refuse)
    await sink_writer.start()
    await sink_writer.assign([number])
    await readback.eventually(lambda: not sink_writer.lag)
    await sink_writer.stop()
    await progress.stop()
    await producer.stop()


async def test_a_worker_that_has_some_of_the_partitions_now_replaces_no_line_of_the_others(
    environment: dict[str, str], log: DecisionLog, tmp_path: Path
) -> None:
    archive = FolderArchive(tmp_path / "archive")
    # A producer puts all into one partition of the input; half of it is then rerouted.
    whole = [decision(f"t{n}", partition=0, offset=n) for n in range(10)]
    batches = [Batch(whole[1:9]), Batch([whole[0], whole[9]])]
    for number, batch in enumerate(batches):
        assert await log.append(number, batch, next_offset=0)
    await archive.open()
    await archive.save(Batch.of(batches))  # by one worker that has both
    for number in (1, 0, 1):
        again = load({**environment, "FRAUD_APP_ID": f"{environment['FRAUD_APP_ID']}-{number}"})
        await follow(again, log, archive, number)
        records = logged(await readback.in_topic(environment, "decisions"))
        assert len(records) == 10
        assert compare(lines(tmp_path / "archive"), records) == ([], [])


def test_the_comparison_sees_whatever_is_wrong_with_a_line() -> None:
    def line(id_: str, **changes: Any) -> dict[str, Any]:
        return {"transaction_id": id_, "score": 1, "decided_at": DECIDED_AT.isoformat(), **changes}

    a, b = line("a"), line("b")
    assert compare([a, b, a], [a, b]) == ([], [])
    assert compare([a], [a, b]) == (["b"], [])
    assert compare([a, b], [a]) == ([], ["b"])
    assert compare([line("a", score=1.0), b], [a, b]) == (["a"], ["a"])
    assert compare([a, line("a", score=2), b], [a, b]) == ([], ["a"])
    second = line("a", score=2)  # in the log too: it does not count, and is not made up
    assert compare([a, second], [a, second]) == ([], [])
    assert compare([second], [a, second]) == (["a"], [])
    today = DECIDED_AT.date()
    assert compare([], [a], purged_before=today) == (["a"], [])
    assert compare([], [a], purged_before=today + timedelta(days=1)) == ([], [])
    assert compare([b], [a], purged_before=today + timedelta(days=1)) == ([], ["b"])
