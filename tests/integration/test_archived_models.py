"""A model that is too large for a record comes to workers by the archive, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from fraudapp.backtests.known_models import KnownModels
from fraudapp.control import follower
from fraudapp.control.follower import ControlLog
from fraudapp.control.writer import ControlWriter
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.producer import BatchProducer
from fraudapp.local.server import Server
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import Settings, load
from fraudapp.sinks.archive.archive import Archive, archive_at
from fraudapp.sinks.base import SinkUnavailable
from models.control.records import Archived
from tests.servers.s3proxy import S3Proxy
from tests.support.scoring import Named
from tests.support.tiny_model import model, saved
from tests.support.transactions import transaction

PATIENCE = 60.0
BATCH = [transaction(amount=10.0**power) for power in range(6)]


class Site:
    """A machine whose worker follows the control topic."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.archive: Archive = archive_at(settings)
        self.log = ControlLog(settings, Named("own"), self.archive)

    async def start(self) -> None:
        await asyncio.wait_for(self.log.start(), PATIENCE)

    async def until(self, check: Callable[[], object]) -> None:
        await asyncio.wait_for(self.log.changed.wait_for(lambda: bool(check())), PATIENCE)

    async def read(self) -> None:
        await asyncio.wait_for(self.log.read_to(await self.log.end()), PATIENCE)

    @property
    def scoring(self) -> str | None:
        scorer = self.log.in_force.scorer
        return scorer.version if scorer else None


class Bench:
    """Machines with empty disks on one Kafka and one S3, and where models are trained."""

    def __init__(self, environment: dict[str, str], root: Path) -> None:
        self.environment = environment
        self.root = root
        self.settings = self.of("trainer")
        self.producer = BatchProducer(self.settings)
        self.sites: list[Site] = []
        self.versions = [
            saved(self.settings.model_dir, model(weight)) for weight in (0.5, 1.5, 2.5)
        ]

    def of(self, name: str) -> Settings:
        return load({**self.environment, "FRAUD_DATA_DIR": str(self.root / name)})

    async def site(self, name: str) -> Site:
        self.sites.append(site := Site(self.of(name)))
        await site.start()
        return site

    def writer(self, site: Site) -> ControlWriter:
        log = site.log
        return ControlWriter(self.settings, self.producer, log.known, log.read_to, log.end)

    async def publish(self, site: Site, version: str) -> bool:
        files = ModelRegistry.of(self.settings).files(version)
        return await self.writer(site).distribute(version, *files, author="ann")

    async def name(self, site: Site, text: str) -> None:
        """Put a policy in force, as far as it fits."""
        head = site.log.known.chain.head
        await self.writer(site).propose(text, author="ann", parent=head)

    def key(self, site: Site, version: str) -> str:
        told = site.log.known.models[version]
        assert isinstance(told, Archived)
        return f"models/{version}/{told.sha256}.json"

    def scores(self, site: Site) -> list[float]:
        scorer = site.log.in_force.scorer
        assert scorer is not None
        return [float(each) for each in scorer.score_matrix(scorer.matrix(BATCH))]

    def expected(self, version: str) -> list[float]:
        scorer = ModelRegistry.of(self.settings).load(version)
        return [float(each) for each in scorer.score(BATCH)]

    async def stop(self) -> None:
        for site in self.sites:
            await site.log.stop()
            await site.archive.close()
        await self.producer.stop()


@pytest.fixture
async def bench(
    kafka: Server,
    s3: S3Proxy,
    s3_bucket: str,
    topics: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Bench]:
    monkeypatch.setattr(follower, "FETCH_SECONDS", 0.2)
    environment = {
        **topics,
        **s3.settings,
        "FRAUD_BROKER_URL": kafka.url,
        "FRAUD_ARCHIVE_URL": f"s3://{s3_bucket}/some/where",
        "FRAUD_MODEL_RECORD_BYTES": "1000",
        "FRAUD_BROKER_FETCH_WAIT": "0.05",
    }
    bench = Bench(environment, tmp_path)
    await kafka_topics.ensure(bench.settings)
    await bench.producer.start()
    yield bench
    s3.revive()
    await bench.stop()


def naming(version: str) -> str:
    return f'model = "{version}"\n'


async def test_two_workers_score_with_it_and_one_that_comes_later(
    bench: Bench, s3: S3Proxy
) -> None:
    version, *_ = bench.versions
    one, two = await bench.site("one"), await bench.site("two")
    assert await bench.publish(one, version)
    assert not await bench.publish(one, version)
    assert isinstance(one.log.known.models[version], Archived)
    await bench.name(one, naming(version))
    three = await bench.site("three")
    assert three.scoring == version
    for each in (one, two, three):
        await each.until(lambda: each.scoring == version)  # noqa: B023
        assert bench.scores(each) == pytest.approx(bench.expected(version), abs=1e-12)
        assert each.log.notes() == []
        assert not (each.settings.model_dir / version).exists()
    s3.kill()
    await one.log.stop()
    again = await bench.site("one")  # it has a copy
    assert again.scoring == version
    commands = KnownModels(again.settings, again.log.known.models)
    assert commands.load(version).version == version


async def test_a_worker_starts_without_the_archive_and_takes_the_model_when_it_is_back(
    bench: Bench, s3: S3Proxy
) -> None:
    first, second, third = bench.versions
    one = await bench.site("one")
    for version in (first, second):
        await bench.publish(one, version)
    await bench.name(one, naming(first))
    await one.until(lambda: one.scoring == first)
    s3.kill()
    with pytest.raises(SinkUnavailable):
        await bench.publish(one, third)
    empty = await bench.site("empty")
    assert empty.scoring is None
    assert any("not yet here" in each for each in empty.log.notes())
    await bench.name(one, "flag_at = 0.25\n")  # decisions and policies do not wait for it
    await empty.read()
    assert empty.log.in_force.version == "2+0"
    await bench.name(one, naming(first))
    await one.until(lambda: one.scoring == first)
    await empty.read()
    assert empty.log.in_force.version == "2+0"
    s3.restart()
    await empty.until(lambda: empty.scoring == first)
    await empty.until(lambda: not empty.log.notes())
    assert empty.log.in_force.version == one.log.in_force.version


Damage = Callable[[Archive, str, bytes], Awaitable[None]]


async def _lost(archive: Archive, key: str, content: bytes) -> None:
    await archive.remove([key])


def _written(change: Callable[[bytes], bytes]) -> Damage:
    async def written(archive: Archive, key: str, content: bytes) -> None:
        await archive.write(key, change(content), "application/json")

    return written


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (_lost, "is not there"),
        (_written(lambda content: b""), "was cut"),
        (_written(lambda content: content[:-1]), "was cut"),
        (_written(lambda content: content + b" "), "has more than"),
        (_written(lambda content: content * 10_000), "has more than"),
        (_written(lambda content: content.replace(b"0.25", b"0.75", 1)), "its hash is another"),
    ],
)
async def test_a_damaged_one_is_refused_and_the_one_in_force_stays(
    bench: Bench, damage: Damage, why: str
) -> None:
    good, bad, _ = bench.versions
    one = await bench.site("one")
    for version in (good, bad):
        await bench.publish(one, version)
    key = bench.key(one, bad)
    content = await one.archive.read(key)
    assert content is not None
    await damage(one.archive, key, content)
    two = await bench.site("two")
    await bench.name(two, naming(good))
    await two.until(lambda: two.scoring == good)
    await bench.name(two, naming(bad))
    await two.until(lambda: two.log.models.trouble(bad))
    assert why in two.log.models.trouble(bad)
    assert any(why in each for each in two.log.notes())
    assert two.scoring == good
    assert bench.scores(two) == pytest.approx(bench.expected(good), abs=1e-12)
    assert not await bench.publish(two, bad)  # writes it again
    await two.until(lambda: two.scoring == bad)
    assert bench.scores(two) == pytest.approx(bench.expected(bad), abs=1e-12)
    await two.until(lambda: not two.log.notes())
