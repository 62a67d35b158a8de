"""A report is made of what answers, kept in Postgres, and published as a page."""

from __future__ import annotations

import asyncio
import logging
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from aiokafka.errors import KafkaConnectionError

from fraudapp.model_registry import ModelRegistry
from fraudapp.reports import make
from fraudapp.reports.daily import Cell, DailyReport, Drift, Latency, as_text, summarise
from fraudapp.reports.from_postgres import Sampled
from fraudapp.reports.render import as_html
from fraudapp.settings import Settings, load
from fraudapp.sinks.base import AccessDenied, SinkUnavailable
from fraudapp.sinks.postgres.day_partitions import moments
from models.artifact import Card, ModelFileError
from models.drift import EDGES

DAY = date(2026, 1, 2)
NOW = datetime(2026, 1, 3, 4, 5, tzinfo=timezone.utc)
LETTERS = {"invalid": 3}
LATENCY = Latency(1, 0.1, 0.2, 0.3)
SAMPLE = [Sampled("transactions", 0, 7, NOW)]
BINS = len(EDGES) + 1


class Bench:
    """Postgres, Kafka and the model cards, as far as a report asks them."""

    def __init__(self) -> None:
        self.steps: list[str] = []
        self.cells = [Cell("TRANSFER", "BLOCK", 1, 8, 80.0)]
        self.drift: list[Drift] = []
        self.sample = SAMPLE
        self.kept: list[tuple[DailyReport, datetime]] = []
        self.period: tuple[datetime, datetime] | None = None
        self.failures: dict[str, Exception] = {}
        self.cards: dict[str, dict[str, Any]] = {}
        self.of_topic: dict[str, Card] = {}
        self.usual = 0

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name in self.failures:
            raise self.failures[name]

    async def dispose(self) -> None:
        self.steps.append("dispose")

    async def migrate(self, database: object) -> None:
        assert database is self
        self._step("migrate")

    async def read(
        self, database: object, day: date, currency: str | None, unit: float
    ) -> tuple[DailyReport, list[Sampled]]:
        self._step("read")
        report = msgspec.structs.replace(summarise(day, self.cells), drift=self.drift)
        return report, self.sample

    async def usual_total(self, database: object, day: date) -> int:
        return self.usual

    async def keep(self, database: object, report: DailyReport, now: datetime) -> DailyReport:
        self._step("keep")
        self.kept.append((report, now))
        return report

    async def dead_letters(
        self, settings: Settings, first: datetime, last: datetime
    ) -> dict[str, int]:
        self.period = first, last
        self._step("dead_letters")
        return LETTERS

    async def latency(self, settings: Settings, sample: list[Sampled]) -> Latency:
        assert sample == self.sample
        self._step("latency")
        return LATENCY

    async def models(self, settings: Settings) -> dict[str, SimpleNamespace]:
        self._step("models")
        return {
            version: SimpleNamespace(card=msgspec.json.encode(card))
            for version, card in self.of_topic.items()
        }

    def card_of(self, version: str, of_topic: dict[str, SimpleNamespace]) -> Any:
        if version in of_topic:
            return msgspec.json.decode(of_topic[version].card, type=Card)
        if version not in self.cards:
            raise ModelFileError(f"{version} is not there")
        return SimpleNamespace(training=self.cards[version], features=[])

    async def make(self, day: date = DAY) -> DailyReport:
        return await make.make(load({"FRAUD_DATA_DIR": "/data"}), day, NOW)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench()
    monkeypatch.setattr(make, "engine", lambda settings: bench)
    monkeypatch.setattr(make, "migrate", bench.migrate)
    monkeypatch.setattr(make, "from_postgres", bench)
    monkeypatch.setattr(make, "from_kafka", bench)
    monkeypatch.setattr(ModelRegistry, "of", lambda settings: bench)
    return bench


async def test_a_report_has_all_parts_and_is_kept_as_it_is_returned(bench: Bench) -> None:
    report = await bench.make()
    assert (report.total, report.dead_letters, report.latency) == (8, LETTERS, LATENCY)
    assert bench.kept == [(report, NOW)]
    assert bench.period == moments(DAY)
    assert bench.steps == ["migrate", "read", "dead_letters", "latency", "keep", "dispose"]


@pytest.mark.parametrize(
    "failure", [KafkaConnectionError("no route"), OSError("reset"), asyncio.TimeoutError()]
)
@pytest.mark.parametrize("part", ["dead_letters", "latency"])
async def test_a_report_lacks_parts_that_the_broker_does_not_give(
    bench: Bench, caplog: pytest.LogCaptureFixture, part: str, failure: Exception
) -> None:
    caplog.set_level(logging.WARNING, make.__name__)
    bench.failures[part] = failure
    report = await bench.make()
    expected = {"dead_letters": LETTERS, "latency": LATENCY, part: None}
    assert {"dead_letters": report.dead_letters, "latency": report.latency} == expected
    assert "the broker does not answer, so the report is incomplete" in caplog.text


async def test_a_mistake_is_not_taken_for_a_broker_that_is_down(bench: Bench) -> None:
    bench.failures["dead_letters"] = TypeError("a mistake")
    with pytest.raises(TypeError):
        await bench.make()
    assert bench.steps[-1] == "dispose"


async def test_a_day_without_decisions_has_no_latency_to_ask_for(bench: Bench) -> None:
    bench.cells, bench.sample = [], []
    assert (await bench.make()).latency is None
    assert "latency" not in bench.steps


async def test_a_day_to_come_has_a_report_only_if_it_has_decisions(bench: Bench) -> None:
    tomorrow = NOW.date() + timedelta(days=1)
    assert (await bench.make(tomorrow)).total == 8
    bench.cells = []
    assert (await bench.make(NOW.date())).total == 0  # today has begun
    bench.kept.clear()
    with pytest.raises(make.DayToCome):
        await bench.make(tomorrow)
    assert bench.kept == []
    assert bench.steps[-1] == "dispose"


@pytest.mark.parametrize("step", ["migrate", "read", "keep"])
async def test_a_database_that_fails_is_reported_and_its_connections_are_closed(
    bench: Bench, step: str
) -> None:
    bench.failures[step] = ConnectionRefusedError("refused")
    with pytest.raises(SinkUnavailable, match=r"^postgres: ConnectionRefusedError: refused"):
        await bench.make()
    assert bench.steps[-1] == "dispose"
    bench.failures[step] = ConnectionError("server rejected SSL upgrade")
    with pytest.raises(AccessDenied, match="FRAUD_POSTGRES_SSLMODE"):
        await bench.make()


async def drift_of(bench: Bench, training: dict[str, Any] | None) -> Drift:
    bench.drift = [Drift("m1", [1] * BINS)]
    bench.cards = {} if training is None else {"m1": training}
    (drift,) = (await bench.make()).drift
    assert (drift.model_version, drift.scores) == ("m1", [1] * BINS)
    return drift


async def test_scores_are_compared_with_those_of_the_training_data(bench: Bench) -> None:
    same = await drift_of(bench, {"score_edges": list(EDGES), "score_histogram": [2.0] * BINS})
    assert (same.training, same.unknown) == ([2.0] * BINS, "")
    assert same.stability_index == pytest.approx(0)
    other = [100.0] + [1.0] * (BINS - 1)
    shifted = await drift_of(bench, {"score_edges": list(EDGES), "score_histogram": other})
    assert (shifted.stability_index or 0) > 0.25


async def test_a_model_gone_blind_is_an_alarm_unless_the_day_is_not_whole(bench: Bench) -> None:
    scores = [99_990, 0, 0, 0, 0, 0, 0, 10, 0]
    bench.cells = [Cell("TRANSFER", "APPROVE", 0, 100_000, 80.0)]
    bench.drift = [Drift("m1", scores, score=7_000_000)]
    training = {"score_edges": list(EDGES), "score_histogram": [99_880, *[0] * 6, 20, 100]}
    bench.cards = {"m1": training | {"rows": 99_999}}
    (drift,) = (await bench.make()).drift
    assert len(drift.alarms) == 1
    assert "were to be expected" in drift.alarms[0]
    bench.usual = 1_000_000
    (drift,) = (await bench.make()).drift
    assert drift.alarms == []


async def test_few_scores_that_differ_by_chance_are_said_to(bench: Bench) -> None:
    bench.drift = [Drift("m1", [10, 0, 0, 0, 0, 0, 2, 0, 0], score=5)]
    training = {"score_edges": list(EDGES), "score_histogram": [90, *[1] * 8], "rows": 98}
    bench.cards = {"m1": training}
    report = await bench.make()
    (drift,) = report.drift
    assert drift.is_chance
    assert drift.alarms == []
    assert "(too few transactions to tell)" in as_text(report)


async def test_a_model_whose_card_is_gone_is_named_with_its_folder(bench: Bench) -> None:
    drift = await drift_of(bench, None)
    assert drift.unknown == "there is no card of the model in control or /data/models"
    assert (drift.training, drift.stability_index) == (None, None)


async def test_a_model_of_the_control_topic_is_compared_with_its_card_there(bench: Bench) -> None:
    bench.drift = [Drift("m1", [10, 0, 0, 0, 0, 0, 2, 0, 0], score=5)]
    training = {"score_edges": list(EDGES), "score_histogram": [90, *[1] * 8], "rows": 98}
    bench.of_topic = {
        "m1": Card(
            version="m1",
            kind="logistic",
            created_at="2026-01-02T00:00:00+00:00",
            feature_contract="c",
            features=[],
            training=training,
            metrics={},
        )
    }
    (drift,) = (await bench.make()).drift
    assert drift.stability_index is not None
    bench.failures["models"] = KafkaConnectionError("no route")
    (drift,) = (await bench.make()).drift
    assert "there is no card of the model" in drift.unknown


@pytest.mark.parametrize(
    "training",
    [
        {},
        {"score_edges": [0.5], "score_histogram": [1.0] * BINS},
        {"score_edges": list(EDGES), "score_histogram": [1.0]},
        {"score_edges": list(EDGES), "score_histogram": [0.0] * BINS},
        {"score_edges": list(EDGES), "score_histogram": [-1.0] + [1.0] * (BINS - 1)},
        {"score_edges": list(EDGES), "score_histogram": [float("inf")] * BINS},
        {"score_edges": list(EDGES), "score_histogram": "many"},
        {"score_edges": list(EDGES)},
    ],
)
async def test_a_card_without_scores_that_can_be_compared_leaves_the_drift_unknown(
    bench: Bench, training: dict[str, Any]
) -> None:
    drift = await drift_of(bench, training)
    assert "the model's card has no scores of the training data" in drift.unknown
    assert (drift.training, drift.stability_index) == (None, None)


async def test_a_report_is_published_in_place_of_an_earlier_one(tmp_path: Path) -> None:
    settings = load({"FRAUD_ARCHIVE_URL": tmp_path.as_uri()})
    first = summarise(DAY, [])
    second = summarise(DAY, [Cell("TRANSFER", "BLOCK", 1, 8, 80.0)])
    for report in (first, second):
        key = await make.publish(settings, report)
        assert key == "reports/date=2026-01-02/report.html"
        assert (tmp_path / key).read_text() == as_html(report)


async def test_an_archive_that_fails_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []

    class Down:
        async def open(self) -> None:
            raise SinkUnavailable("archive: down")

        async def close(self) -> None:
            steps.append("close")

    monkeypatch.setattr(make, "archive_at", lambda settings: Down())
    with pytest.raises(SinkUnavailable, match="archive: down"):
        await make.publish(load({}), summarise(DAY, []))
    assert steps == ["close"]
