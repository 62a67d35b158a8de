"""`fraudapp purge`, as an operator runs it."""

from __future__ import annotations

import asyncio
import os
from datetime import date, datetime, timedelta, timezone, tzinfo
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from fraudapp.commands.purge import command
from fraudapp.decisions.batch import Batch
from fraudapp.kafka import topics as kafka_topics
from fraudapp.kafka.producer import BatchProducer
from fraudapp.local.processes import free_port
from fraudapp.local.server import Server
from fraudapp.settings import load
from fraudapp.sinks.all import Sinks
from fraudapp.sinks.progress import Progress
from tests.support.decisions import decision

NAMES = ("redis", "postgres", "archive")
NOON = datetime(2026, 3, 4, 12, tzinfo=timezone.utc)


@pytest.fixture
def environment(
    kafka: Server,
    topics: dict[str, str],
    postgres_url: str,
    redis_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in os.environ if name.startswith("FRAUD_")]:
        monkeypatch.delenv(name)
    for name, value in topics.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("FRAUD_BROKER_URL", kafka.url)
    monkeypatch.setenv("FRAUD_POSTGRES_URL", postgres_url)
    monkeypatch.setenv("FRAUD_REDIS_URL", redis_url)
    monkeypatch.setenv("FRAUD_ARCHIVE_URL", (tmp_path / "archive").as_uri())


@pytest.fixture
async def filled(environment: None) -> None:
    sinks = Sinks(load())
    batch = Batch(
        [
            decision(f"t{n}", offset=n, decided_at=NOON + (n % 4) * timedelta(days=1))
            for n in range(40)
        ]
    )
    for sink in sinks.each:
        await sink.open()
        await sink.save(batch)
        await sink.close()


def marked() -> dict[str, date | None]:
    """What every worker knows to be purged."""

    async def read() -> dict[str, date | None]:
        settings = load()
        await kafka_topics.ensure(settings)
        producer = BatchProducer(settings)
        progress = Progress(settings, producer, NAMES)
        await progress.start()
        await progress.current()
        await progress.stop()
        await producer.stop()
        return {name: progress.purged(name) for name in NAMES}

    return asyncio.run(read())


def purge(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(command, arguments, input=answer)


def test_only_what_is_confirmed_is_deleted_and_what_stays_is_said(filled: None) -> None:
    counts = "redis: 20 decisions", "postgres: 20 decisions", "archive: 2 files"
    for arguments, answer, code, done in (
        (["--dry-run"], "", 0, False),
        ([], "n\n", 1, False),
        ([], "", 1, False),  # nobody there to answer
        ([], "y\n", 0, True),
    ):
        result = purge("--before", "2026-03-06", *arguments, answer=answer)
        assert result.exit_code == code
        assert all(each in result.output for each in counts)
        assert ("UTC) deleted" in result.output) == done
        assert ("Not purged" in result.output) == (done or "--dry-run" in arguments)
        assert marked() == dict.fromkeys(NAMES, date(2026, 3, 6) if done else None)
    again = purge("--before", "2026-03-06", "--yes")
    assert again.exit_code == 0
    assert again.output.count(": 0 ") == 3
    assert purge("--before", "2026-03-05", "--yes").exit_code == 0
    assert marked() == dict.fromkeys(NAMES, date(2026, 3, 6))
    assert purge("--before", "2026-03-05", "--take-back").exit_code == 1  # not confirmed
    assert purge("--before", "2026-03-05", "--take-back", "--dry-run", "--yes").exit_code == 2
    assert marked() == dict.fromkeys(NAMES, date(2026, 3, 6))
    assert purge("--before", "2026-03-05", "--take-back", "--yes").exit_code == 0
    assert marked() == dict.fromkeys(NAMES, date(2026, 3, 5))


def test_a_sink_that_is_down_has_its_exit_code_and_the_others_are_purged(
    filled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"postgresql+asyncpg://x:hunter2@127.0.0.1:{free_port()}/x"
    monkeypatch.setenv("FRAUD_POSTGRES_URL", url)
    result = purge("--before", "2026-03-06", "--yes")
    assert result.exit_code == 3
    assert "FRAUD_POSTGRES_URL" in result.output
    assert "hunter2" not in result.output
    assert "redis: 20 decisions" in result.output
    assert "purged: redis, archive." in result.output
    assert "Nothing was deleted." in purge("--before", "2026-03-06", "--dry-run").output
    monkeypatch.setenv("FRAUD_REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
    result = purge("--before", "2026-03-06", "--yes")
    assert "FRAUD_REDIS_URL" in result.output
    assert result.exit_code == 5


def test_nothing_is_deleted_that_the_broker_has_not_noted(
    filled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FRAUD_BROKER_URL", f"kafka://127.0.0.1:{free_port()}")
    monkeypatch.setenv("FRAUD_START_TIMEOUT", "1")
    result = purge("--before", "2026-03-06", "--yes")
    assert result.exit_code == 1
    assert "FRAUD_BROKER_URL" in result.output
    assert "redis: 20 decisions" in purge("--before", "2026-03-06", "--dry-run").output


def test_a_clock_that_is_ahead_does_not_purge_the_day_that_it_is(
    filled: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    today = datetime.now(timezone.utc).date()
    ahead = today + timedelta(days=3)

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Ahead:
            return cls(ahead.year, ahead.month, ahead.day, tzinfo=tz)

    monkeypatch.setattr("fraudapp.commands.purge.datetime", Ahead)
    before = today + timedelta(days=2)  # the test may go on over midnight
    result = purge("--before", str(before), "--yes")
    assert result.exit_code == 2
    assert "clock of the database" in result.output
    assert str(ahead) in result.output
    assert marked() == dict.fromkeys(NAMES)


@pytest.mark.parametrize("arguments", [[], ["--before", "today"], ["--before", "2999-01-01"]])
def test_a_wrong_date_is_refused_before_anything_is_asked(arguments: list[str]) -> None:
    assert purge(*arguments).exit_code == 2
