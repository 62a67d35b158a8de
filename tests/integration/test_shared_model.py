"""Workers that have no model of their own take the first one of the control topic."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from data.generator import write_csv
from data.plan import Plan
from fraudapp.control.archived_models import NotFetched
from fraudapp.control.reader import reading
from fraudapp.first_model import ready_scorer
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.producer import BatchProducer
from fraudapp.local.server import Server
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import Settings, load
from fraudapp.shared_model import NOTE, shared_scorer
from models.artifact import ModelFileError
from models.control.records import Archived, Distributed, Published
from models.control.state import ControlState
from models.errors import TrainingDataError

Machine = Callable[..., Settings]
ON_THE_SAMPLE = {"FRAUD_TRAINING_FILE": ""}


@pytest.fixture
def machine(kafka: Server, topics: dict[str, str], tmp_path: Path) -> Machine:
    """Makes the settings of a machine of its own, with rows of its own to train on."""

    def made(name: str, seed: int | None = None, **more: str) -> Settings:
        file = tmp_path / f"{seed}.csv"
        if seed is not None:
            write_csv(Plan(rows=4_000, fraud_rate=0.05, seed=seed), file)
        told = {
            "FRAUD_BROKER_URL": kafka.url,
            "FRAUD_DATA_DIR": str(tmp_path / name),
            "FRAUD_TRAINING_FILE": str(file),
            "FRAUD_MODEL_KIND": "logistic",
            **topics,
        }
        return load(told | more)

    return made


@pytest.fixture
async def producer(machine: Machine) -> AsyncIterator[BatchProducer]:
    settings = machine("nobody")
    await kafka_topics.ensure(settings)
    made = BatchProducer(settings)
    await made.start()
    yield made
    await made.stop()


async def published(settings: Settings) -> dict[str, Published]:
    known = ControlState()
    async with reading(settings) as reader:
        await reader.read_to(await reader.end(), known.apply)
    return known.models


async def scorer_of(settings: Settings, producer: BatchProducer) -> str:
    """The version that a machine has, which serves there too once it is started again."""
    told: list[str] = []
    version = (await shared_scorer(settings, producer, told.append)).version
    assert ModelRegistry.of(settings).active() == version
    return version


async def test_of_several_that_train_at_once_all_take_the_first(
    machine: Machine, producer: BatchProducer
) -> None:
    machines = [machine(f"m{seed}", seed) for seed in range(3)]
    taken = await asyncio.gather(*(scorer_of(each, producer) for each in machines))
    first, *_ = await published(machines[0])
    assert {*taken} == {first}
    trained = [ModelRegistry.of(each).versions() for each in machines]
    assert len({version for versions in trained for version in versions}) == len(machines)
    assert [await scorer_of(each, producer) for each in machines] == taken


async def test_one_that_comes_later_does_not_train(
    machine: Machine, producer: BatchProducer
) -> None:
    version = await scorer_of(machine("first", 1), producer)
    (told,) = (await published(machine("first"))).values()
    assert told.note == NOTE
    later = machine("later")  # which has no file to train on
    assert await scorer_of(later, producer) == version
    assert ModelRegistry.of(later).versions() == [version]
    assert isinstance(told, Distributed)
    assert ModelRegistry.of(later).files(version) == told.files
    with pytest.raises(TrainingDataError):
        await shared_scorer(machine("other", FRAUD_SCHEMA="cards"), producer, _nothing)


async def test_a_machine_with_a_model_of_its_own_keeps_it(
    machine: Machine, producer: BatchProducer
) -> None:
    one, other = machine("one", 1), machine("other", 2)
    version = await scorer_of(other, producer)
    first = await scorer_of(one, producer)
    assert version == first
    own = next(each for each in await _trained(machine("third", 3)) if each != first)
    assert await scorer_of(machine("third", 3), producer) == own
    assert [*await published(one)] == [first]


async def test_a_model_of_its_own_is_given_to_all_where_there_is_none(
    machine: Machine, producer: BatchProducer
) -> None:
    (own,) = await _trained(machine("one", 1))
    assert await scorer_of(machine("one", 1), producer) == own
    assert [*await published(machine("one"))] == [own]


async def test_what_is_of_another_schema_is_passed_over(
    machine: Machine, producer: BatchProducer
) -> None:
    of_paysim = await scorer_of(machine("one", 1), producer)
    of_cards = await scorer_of(machine("two", FRAUD_SCHEMA="cards", **ON_THE_SAMPLE), producer)
    assert [*await published(machine("one"))] == [of_paysim, of_cards]
    assert await scorer_of(machine("three", FRAUD_SCHEMA="cards"), producer) == of_cards
    assert await scorer_of(machine("four"), producer) == of_paysim


async def test_one_that_is_too_large_for_a_record_comes_by_the_archive(
    machine: Machine, producer: BatchProducer, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    large = {
        "FRAUD_MODEL_RECORD_BYTES": "1000",
        "FRAUD_ARCHIVE_URL": archive.as_uri(),
        "FRAUD_START_TIMEOUT": "0.3",
    }
    (own,) = await _trained(machine("own", 2))
    version = await scorer_of(machine("first", 1, **large), producer)
    assert isinstance((await published(machine("first")))[version], Archived)
    later = machine("later", **large)  # which has no file to train on
    assert await scorer_of(later, producer) == version
    archive.rename(tmp_path / "away")
    assert await scorer_of(later, producer) == version
    assert await scorer_of(machine("own", **large), producer) == own
    # Rather than to score with another one for good, it does not start.
    with pytest.raises(NotFetched, match="is not there"):
        await shared_scorer(machine("empty", 3, **large), producer, _nothing)
    assert ModelRegistry.of(machine("empty")).versions() == []
    of_cards = {"FRAUD_SCHEMA": "cards", "FRAUD_MODEL_RECORD_BYTES": "3000000"}
    cards = machine("cards", **{**large, **ON_THE_SAMPLE, **of_cards})
    assert await scorer_of(cards, producer) in ModelRegistry.of(cards).versions()


async def test_without_an_archive_that_all_share_a_large_one_is_for_its_machine_alone(
    machine: Machine, producer: BatchProducer, caplog: pytest.LogCaptureFixture
) -> None:
    alone = machine("alone", 1, FRAUD_MODEL_RECORD_BYTES="1000")
    version = await scorer_of(alone, producer)
    assert f"model {version} is for this worker alone" in caplog.text
    assert "FRAUD_ARCHIVE_URL" in caplog.text
    assert await published(alone) == {}


async def test_one_that_the_archive_does_not_take_serves_nowhere(
    machine: Machine, producer: BatchProducer, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    url = (tmp_path / "file").as_uri()
    refused = machine("refused", 1, FRAUD_MODEL_RECORD_BYTES="1000", FRAUD_ARCHIVE_URL=url)
    with pytest.raises(ModelFileError, match="cannot be shared: archive: "):
        await shared_scorer(refused, producer, _nothing)
    assert await published(refused) == {}


async def _trained(settings: Settings) -> list[str]:
    await asyncio.to_thread(ready_scorer, settings, _nothing)
    return ModelRegistry.of(settings).versions()


def _nothing(line: str) -> None:
    """Take a sentence of the training."""
