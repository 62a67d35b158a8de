"""What is in force follows the topic record by record; notes tell what is not, and stay few."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from fraudapp.control import follower, reader
from fraudapp.control.follower import ControlLog
from fraudapp.control.reader import RecordsLost
from fraudapp.kafka import following
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import load
from fraudapp.sinks.archive.archive import archive_at
from models.control import lists
from models.control.records import ROOT, Archived, Listed, Proposed, distribution, entry, proposal
from tests.support.memory import PATIENCE, MemoryBroker
from tests.support.memory_clients import MemoryConsumer
from tests.support.scoring import Named
from tests.support.tiny_model import model, saved

PARTITION = TopicPartition("control", 0)
BAD = "flag_at = "
MULES = """
[lists.mules]
field = "nameDest"
then = "block"
reason = "It is listed."
owner = "fraud team"
"""


class Bench:
    def __init__(self, monkeypatch: pytest.MonkeyPatch, root: Path) -> None:
        self.broker = MemoryBroker({PARTITION.topic: 1})
        self.consumer = MemoryConsumer(self.broker)
        monkeypatch.setattr(reader, "ends", self.consumer.ends)
        monkeypatch.setattr(reader, "new_consumer", lambda *given, **options: self.consumer)
        monkeypatch.setattr(following, "RETRY_SECONDS", 0.0)
        environment = {"FRAUD_DATA_DIR": str(root / "data"), "FRAUD_ARCHIVE_URL": root.as_uri()}
        self.settings = load(environment)
        self.log = ControlLog(self.settings, Named("model-1"), archive_at(self.settings))
        self._proposed = 0

    def put(self, record: Any) -> None:
        key, value, headers = record
        self.broker.put(PARTITION.topic, 0, value, key, headers)

    def propose(self, text: str, parent: str = ROOT, **changes: Any) -> str:
        """Write a policy, and return its id."""
        self._proposed += 1
        id_ = f"{self._proposed:032x}"
        given: Any = {"author": "ann", **changes}
        self.put(proposal(id_, Proposed(parent=parent, text=text, **given)))
        return id_

    def publish(self, root: Path) -> tuple[str, Path]:
        """Write a model that is to be in the archive, and is not; returns it, and where."""
        version = saved(root / "elsewhere", model())
        files = ModelRegistry(root / "elsewhere").files(version)
        told = Archived.of(*files, author="ann")
        self.put(distribution(version, told))
        path = root / "models" / version / f"{told.sha256}.json"
        path.parent.mkdir(parents=True)
        return version, path

    async def read(self) -> None:
        """Return once all that was written is in force."""
        await self.consumer.delivered()


@pytest.fixture
async def bench(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Bench]:
    bench = Bench(monkeypatch, tmp_path)
    yield bench
    await bench.log.stop()


async def test_all_that_is_there_is_in_force_when_it_has_started(bench: Bench) -> None:
    first = bench.propose(MULES)
    bench.put(entry("mules", "C1", Listed(author="ann")))
    bench.propose("flag_at = 0.25", first)
    bench.consumer.failures.append(KafkaError("down"))
    bench.consumer.end_failures.append(KafkaError("down"))
    await bench.log.start()
    assert bench.log.in_force.version == "2+0"
    await asyncio.wait_for(bench.log.read_to(3), PATIENCE)
    assert bench.log.troubles() == []


async def test_the_end_of_a_transaction_counts_as_read(bench: Bench) -> None:
    await bench.log.start()
    bench.broker.put(PARTITION.topic, 0, b"marker")
    bench.consumer.hidden.add((PARTITION, 0))
    await bench.read()
    await asyncio.wait_for(bench.log.read_to(1), PATIENCE)


async def test_a_failure_to_read_is_told_of_and_leaves_all_in_force(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = bench.propose(MULES)
    await bench.log.start()
    failed = asyncio.Event()
    monkeypatch.setattr(bench.log._following, "failed", lambda exc: failed.set())
    bench.consumer.failures.append(KafkaError("down"))
    await bench.read()
    await asyncio.wait_for(failed.wait(), PATIENCE)
    assert bench.log.in_force.version == "1+0"
    bench.propose("flag_at = 0.4", first)
    await bench.read()
    assert bench.log.in_force.version == "2+0"


async def test_a_worker_ends_when_the_topic_has_lost_records(bench: Bench) -> None:
    bench.propose(MULES)
    bench.propose(BAD)
    await bench.log.start()
    await bench.read()
    bench.consumer.seek(PARTITION, 1)
    bench.consumer._wake.set()
    await asyncio.wait_for(bench.log._crashed.wait(), PATIENCE)
    assert isinstance(bench.log.crash_reason, RecordsLost)
    assert bench.log.in_force.version == "1+0"


async def test_notes_break_no_line_and_are_no_longer_than_people_read(bench: Bench) -> None:
    await bench.log.start()
    bench.propose(f"{'x' * 100_000} = 1", author="\x1b[2J\n" * 20)
    await bench.read()
    (note,) = bench.log.notes()
    assert note.isprintable()
    assert len(note) < 1_000


async def test_entries_that_are_left_out_are_told_of(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "MAX_ENTRIES", 1)
    await bench.log.start()
    for value in ("C1", "C2"):
        bench.put(entry("mules", value, Listed(author="ann")))
    await bench.read()
    assert bench.log.notes() == ["entries of lists that are left out, since there are too many: 1"]


async def test_those_who_wait_are_woken_by_changes_only(bench: Bench) -> None:
    await bench.log.start()
    await bench.read()
    woken: list[int] = []

    def look() -> bool:
        woken.append(1)
        return False

    waiting = asyncio.ensure_future(bench.log.changed.wait_for(look))
    await asyncio.sleep(0)
    await bench.read()
    await bench.read()
    assert len(woken) == 1
    bench.propose("flag_at = 0.4")
    await bench.read()
    assert len(woken) > 1
    waiting.cancel()


def scoring(bench: Bench) -> str | None:
    """The model that the policy in force names."""
    scorer = bench.log.in_force.scorer
    return scorer.version if scorer else None


async def test_a_model_of_the_archive_scores_once_it_is_here(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "FETCH_SECONDS", 0.01)
    await bench.log.start()
    first = bench.propose("flag_at = 0.4")
    version, path = bench.publish(tmp_path)
    bench.propose(f'model = "{version}"\n', first)
    await bench.read()
    await asyncio.wait_for(bench.log.read_to(3), PATIENCE)
    assert (bench.log.in_force.version, scoring(bench)) == ("1+0", None)
    assert "is in the archive, and not yet here" in bench.log.notes()[0]
    await asyncio.wait_for(bench.log.changed.wait_for(lambda: len(bench.log.notes()) > 1), PATIENCE)
    assert "is not there" in bench.log.notes()[1]
    assert "is not there" in bench.log.models.trouble(version)
    bench.propose("flag_at = 0.3", bench.log.known.chain.head)  # the one in force may change
    await bench.read()
    assert bench.log.in_force.version == "3+0"
    bench.propose(f'shadow = ["{version}"]\n', bench.log.known.chain.head)
    await bench.read()
    assert bench.log.in_force.version == "3+0"
    path.write_bytes((tmp_path / "elsewhere" / version / "model.json").read_bytes())
    in_force = bench.log.changed.wait_for(lambda: bench.log.in_force.version == "4+0")
    await asyncio.wait_for(in_force, PATIENCE)
    assert [each.version for each in bench.log.in_force.challengers] == [version]
    assert (bench.log.notes(), bench.log.models.trouble(version)) == ([], "")


async def test_a_worker_that_starts_fetches_first_what_is_in_force(
    bench: Bench, tmp_path: Path
) -> None:
    version, path = bench.publish(tmp_path)
    path.write_bytes((tmp_path / "elsewhere" / version / "model.json").read_bytes())
    bench.propose(f'model = "{version}"\n')
    await bench.log.start()
    assert (bench.log.in_force.version, scoring(bench)) == ("1+0", version)


async def test_a_worker_starts_without_a_model_that_the_archive_does_not_have(
    bench: Bench, tmp_path: Path
) -> None:
    first = bench.propose("flag_at = 0.4")
    version, _ = bench.publish(tmp_path)
    bench.propose(f'model = "{version}"\n', first)
    await asyncio.wait_for(bench.log.start(), PATIENCE)
    assert (bench.log.in_force.version, scoring(bench)) == ("1+0", None)
    assert "not yet here: ModelFileError: models/" in bench.log.notes()[0]
