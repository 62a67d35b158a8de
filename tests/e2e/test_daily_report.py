"""`fraudapp daily-report`: its numbers are those of the day, and it may be run again."""

from __future__ import annotations

import asyncio
import csv
import io
import json
import math
import os
import shutil
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import msgspec
import pytest
from aiobotocore.session import get_session
from aiokafka import AIOKafkaProducer
from click.testing import CliRunner, Result

import data
from fraudapp.cli.transaction_files import InvalidRow, read_file
from fraudapp.commands.daily_report import FORMATS, command
from fraudapp.decisions.batch import Batch
from fraudapp.kafka.clients import client_options
from fraudapp.kafka.topics import ensure
from fraudapp.local.processes import free_port
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import Settings, load
from fraudapp.sinks.postgres.sink import PostgresSink
from models.deciding import decide
from models.drift import EDGES
from models.inputs import Input, Position, ValidInput
from models.policies.in_force import of_thresholds
from models.records import Decision, Transaction
from tests.servers.topics import create
from tests.support.decisions import decision

REAL = (
    Path(os.environ.get("FRAUD_PAYSIM_DIR", Path(__file__).resolve().parents[3] / "shared/data"))
    / "paysim_steps_1_119.csv"
)
TODAY = datetime.now(timezone.utc).replace(hour=0, minute=0, second=0, microsecond=0)
DAYS = [TODAY - timedelta(days=3), TODAY - timedelta(days=2)]
EMPTY = (TODAY - timedelta(days=4)).date()
ROWS = 600
LATENCY = timedelta(milliseconds=250)
DAY = "(decided_at AT TIME ZONE 'UTC')::date = $1"


def transactions() -> list[Transaction]:
    """Real rows of PaySim where they are at hand, else the project's sample; with frauds."""
    path = REAL if REAL.exists() else data.sample_path()
    frauds: list[Transaction] = []
    others: list[Transaction] = []
    for each in islice(read_file(path, "row"), 60_000):
        assert not isinstance(each, InvalidRow)
        (frauds if each.isFraud else others).append(each)
    found = [*frauds[:40], *others[: 2 * ROWS - 60]]
    found += [_flagged(each) for each in others[-20:]]
    return found[0::2] + found[1::2]  # some of each kind on both days


def _flagged(each: Transaction) -> Transaction:
    return msgspec.structs.replace(each, isFlaggedFraud=1)


@pytest.fixture
def environment(
    worker_environment: dict[str, str], trained_models: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    for name in [name for name in os.environ if name.startswith("FRAUD_")]:
        monkeypatch.delenv(name)
    ours = {name: value for name, value in worker_environment.items() if name[:6] == "FRAUD_"}
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    shutil.copytree(trained_models, Path(ours["FRAUD_DATA_DIR"]) / "models")
    return ours


@pytest.fixture
async def decisions(environment: dict[str, str]) -> list[Decision]:
    """Two days of them: sent, decided and kept, the last and first moment of a day among them."""
    settings = load()
    # With stamps of those days, as nobody writes them now.
    await create(settings.broker_url, settings.dead_letters_topic, settings.topic_partitions)
    await ensure(settings)
    scorer = ModelRegistry(settings.model_dir).load_active()
    policy = of_thresholds(settings.policy, settings.transaction_schema)
    made: list[Decision] = []
    rows = transactions()
    async with AIOKafkaProducer(**client_options(settings)) as producer:
        for number, day in enumerate(DAYS):
            for part, moment in enumerate((day, day + timedelta(days=1, microseconds=-1))):
                start = (2 * number + part) * ROWS // 2
                sent = rows[start : start + ROWS // 2]
                positions = await _send(producer, settings, sent, moment - LATENCY)
                candidates = [
                    ValidInput(each, Input(None, None, position, position))
                    for each, position in zip(sent, positions, strict=True)
                ]
                made += decide(candidates, scorer=scorer, policy=policy, now=moment)
            for reason, count in (("invalid", 3 + number), ("conflict", 5)):
                for _ in range(count):
                    await producer.send_and_wait(
                        settings.dead_letters_topic,
                        b"?",
                        headers=[("reason", reason.encode())],
                        timestamp_ms=int((day + timedelta(hours=12)).timestamp() * 1_000),
                    )
    sink = PostgresSink(settings.postgres_url.get_secret_value())
    await sink.open()
    await sink.save(Batch(made))
    await sink.close()
    return made


async def _send(
    producer: AIOKafkaProducer, settings: Settings, sent: list[Transaction], moment: datetime
) -> list[Position]:
    topic, stamp = settings.transactions_topic, int(moment.timestamp() * 1_000)
    futures = [
        await producer.send(topic, b"{}", key=each.transaction_id.encode(), timestamp_ms=stamp)
        for each in sent
    ]
    placed = [await future for future in futures]
    return [Position(topic, each.partition, each.offset) for each in placed]


def report(day: date | None = None, *arguments: str) -> Result:
    chosen = ["--date", str(day)] if day else []
    return CliRunner().invoke(command, [*chosen, *arguments])


def query(environment: dict[str, str], sql: str, *values: Any) -> list[tuple[Any, ...]]:
    async def ask() -> list[tuple[Any, ...]]:
        connection = await asyncpg.connect(
            environment["FRAUD_POSTGRES_URL"].replace("+asyncpg", "")
        )
        try:
            return [tuple(row) for row in await connection.fetch(sql, *values)]
        finally:
            await connection.close()

    return asyncio.run(ask())


def pages(environment: dict[str, str]) -> dict[str, bytes]:
    """The archive's files below `reports`, by key."""

    async def ask() -> dict[str, bytes]:
        bucket = urlsplit(environment["FRAUD_ARCHIVE_URL"]).netloc
        async with get_session().create_client(
            "s3",
            endpoint_url=environment["FRAUD_S3_ENDPOINT_URL"],
            region_name="us-east-1",
            aws_access_key_id=environment["FRAUD_S3_ACCESS_KEY_ID"],
            aws_secret_access_key=environment["FRAUD_S3_SECRET_ACCESS_KEY"],
        ) as client:
            listed = await client.list_objects_v2(Bucket=bucket, Prefix="reports/")
            found = {}
            for item in listed.get("Contents", []):
                answer = await client.get_object(Bucket=bucket, Key=item["Key"])
                async with answer["Body"] as body:
                    found[item["Key"]] = await body.read()
            return found

    return asyncio.run(ask())


def stability(expected: Sequence[float], scores: Sequence[float]) -> float:
    """The index by its textbook formula, from the scores themselves."""
    bounds = [0.0, *EDGES, 1.1]
    index = 0.0
    for number, weight in enumerate(expected):
        inside = sum(bounds[number] <= score < bounds[number + 1] for score in scores)
        then = max(weight / sum(expected), 1e-4)
        now = max(inside / len(scores), 1e-4)
        index += (now - then) * math.log(now / then)
    return index


def test_two_days_are_reported_as_sql_counts_them_and_twice_changes_nothing(
    decisions: list[Decision], environment: dict[str, str]
) -> None:
    for number, moment in enumerate(DAYS):
        day = moment.date()
        result = report(day, "--format", "json")
        assert result.exit_code == 0, result.output
        found = json.loads(result.stdout)
        assert found["total"] == ROWS
        for outcome, count in found["by_decision"].items():
            ((counted, amount),) = query(
                environment,
                f"SELECT count(*), sum(amount) FROM decisions WHERE {DAY} AND decision = $2",
                day,
                outcome,
            )
            assert count == counted
            assert found["amount_by_decision"][outcome] == pytest.approx(amount or 0)
        types = query(
            environment,
            f"SELECT type, decision, count(*) FROM decisions WHERE {DAY} GROUP BY 1, 2",
            day,
        )
        assert {(type_, outcome): count for type_, outcome, count in types} == {
            (type_, outcome): count
            for type_, row in found["by_type"].items()
            for outcome, count in row.items()
            if count
        }
        ((fraud, blocked, caught, stopped),) = query(
            environment,
            "SELECT sum(is_fraud), count(*) FILTER (WHERE decision = 'BLOCK'),"
            " count(*) FILTER (WHERE decision = 'BLOCK' AND is_fraud = 1),"
            " count(*) FILTER (WHERE decision <> 'APPROVE' AND is_fraud = 1)"
            f" FROM decisions WHERE {DAY}",
            day,
        )
        assert fraud > 0 < blocked
        assert found["labelled_fraud"] == fraud
        assert found["precision_block"] == caught / blocked
        assert found["recall_block"] == caught / fraud
        assert found["recall_stopped"] == stopped / fraud
        codes = query(
            environment,
            "SELECT reason ->> 'code', count(*) FROM decisions, jsonb_array_elements(reasons)"
            f" AS reason WHERE {DAY} GROUP BY 1",
            day,
        )
        assert found["reasons"] == dict(sorted(codes, key=lambda row: (-row[1], row[0]))[:10])
        (drift,) = found["drift"]
        rows = query(environment, f"SELECT score FROM decisions WHERE {DAY}", day)
        expected = stability(drift["training"], [score for (score,) in rows])
        assert sum(drift["scores"]) == ROWS
        assert drift["stability_index"] == pytest.approx(expected)
        assert found["dead_letters"] == {"conflict": 5, "invalid": 3 + number}
        assert found["latency"]["sample"] == 200
        # Kafka's time stamps are in milliseconds.
        for measure in ("p50", "p95", "p99"):
            assert found["latency"][measure] == pytest.approx(LATENCY.total_seconds(), abs=0.002)

    rows = query(environment, "SELECT * FROM daily_reports ORDER BY date")
    assert [(row[0], row[1]) for row in rows] == [(moment.date(), ROWS) for moment in DAYS]
    written = pages(environment)
    assert list(written) == [f"reports/date={moment.date()}/report.html" for moment in DAYS]
    # Once more, and without the broker too: what only that knew stays.
    for changes in ({}, {"FRAUD_BROKER_URL": f"kafka://127.0.0.1:{free_port()}"}):
        with pytest.MonkeyPatch.context() as patch:
            for name, value in changes.items():
                patch.setenv(name, value)
            for moment in DAYS:
                assert report(moment.date()).exit_code == 0
        assert query(environment, "SELECT * FROM daily_reports ORDER BY date") == rows
        assert pages(environment) == written

    page = next(iter(written.values())).decode()
    assert "<svg" in page
    assert "http://" not in page.replace("http://www.w3.org/2000/svg", "")
    table = list(csv.DictReader(io.StringIO(report(DAYS[0].date(), "--format", "csv").stdout)))
    assert [row["value"] for row in table if row["section"] == "day"] == [str(ROWS)]


def test_a_day_without_decisions_says_so(environment: dict[str, str]) -> None:
    result = report(EMPTY)
    assert result.exit_code == 0, result.output
    assert f"No decisions were made on {EMPTY} (UTC)." in result.stdout
    (page,) = pages(environment).values()
    assert "No decisions were made" in page.decode()
    assert query(environment, "SELECT date, decisions FROM daily_reports") == [(EMPTY, 0)]


WILD = [
    datetime.min,
    datetime.min + timedelta(days=1, microseconds=-1),
    datetime(999, 1, 1),
    datetime(1969, 12, 31, 23, 59, 59, 999999),
    datetime(1970, 1, 1),
    datetime(3026, 1, 1),
    datetime.max - timedelta(days=1, microseconds=-1),
    datetime.max,
]


async def test_a_day_is_reported_whatever_clock_has_stamped_it(
    environment: dict[str, str],
) -> None:
    settings = load()
    await ensure(settings)
    async with AIOKafkaProducer(**client_options(settings)) as producer:
        await producer.send_and_wait(settings.transactions_topic, b"{}", partition=0)
    sink = PostgresSink(settings.postgres_url.get_secret_value())
    await sink.open()
    made = [
        decision(f"t{number}", topic=settings.transactions_topic, decided_at=moment)
        for number, moment in enumerate(each.replace(tzinfo=timezone.utc) for each in WILD)
    ]
    await sink.save(Batch(made))
    days = Counter(each.decided_at.date() for each in made)
    for _ in range(2):  # kept with the rest, and in partitions of their own
        for day, count in days.items():
            for style in FORMATS:
                result = await asyncio.to_thread(report, day, "--format", style)
                assert result.exit_code == 0, (day, style, result.output, result.exc_info)
            found = json.loads((await asyncio.to_thread(report, day, "--format", "json")).stdout)
            assert (found["date"], found["total"]) == (str(day), count)
            assert found["latency"]["sample"] == count
            assert found["dead_letters"] == {}
        await sink.maintain(TODAY.date())
    await sink.close()
    rows = await asyncio.to_thread(query, environment, "SELECT date, decisions FROM daily_reports")
    assert dict(rows) == days
    written = await asyncio.to_thread(pages, environment)
    assert set(written) == {f"reports/date={day}/report.html" for day in days}


def test_a_scheduler_can_tell_failures_apart(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert report(TODAY.date() + timedelta(days=1)).exit_code == 2
    assert CliRunner().invoke(command, ["--date", "yesterday"]).exit_code == 2
    monkeypatch.setenv("FRAUD_BROKER_URL", f"kafka://127.0.0.1:{free_port()}")
    monkeypatch.setenv("FRAUD_ARCHIVE_URL", "s3://no-such-bucket")
    result = report()
    assert result.exit_code == 4
    assert "FRAUD_ARCHIVE_URL" in result.output
    ((day,),) = query(environment, "SELECT date FROM daily_reports")
    assert day == TODAY.date() - timedelta(days=1)
    monkeypatch.setenv("FRAUD_POSTGRES_URL", f"postgresql+asyncpg://x@127.0.0.1:{free_port()}/x")
    result = report()
    assert result.exit_code == 3
    assert "FRAUD_POSTGRES_URL" in result.output


def test_a_model_whose_card_has_no_scores_is_told(
    decisions: list[Decision], environment: dict[str, str]
) -> None:
    models = Path(environment["FRAUD_DATA_DIR"]) / "models"
    (card,) = models.glob("*/card.json")
    content = json.loads(card.read_text())
    del content["training"]["score_histogram"], content["training"]["score_edges"]
    card.write_text(json.dumps(content))
    assert "card has no scores of the training data" in report(DAYS[0].date()).stdout
    card.unlink()
    assert "there is no card" in report(DAYS[0].date()).stdout
