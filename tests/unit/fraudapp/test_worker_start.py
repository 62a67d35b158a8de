"""A worker opens what it needs in an order in which each part finds what it uses."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
from mode import Service

from fraudapp import worker as workers
from fraudapp.sinks.base import AccessDenied
from fraudapp.takeover import Assignment
from fraudapp.worker import FraudWorker
from models.errors import TrainingDataError
from tests.support.views import PATIENCE, AppDouble, settings_of

SINKS = ("redis", "postgres", "archive")
SERVICES = (
    "listener",
    "log_queries",
    "label joiner",
    "known labels",
    "quality labels",
    "retention",
    "topics",
    "readability",
    "progress",
    "label keeper",
)


class StandIns:
    """Takes the place of all that a worker opens, and notes what is done to it."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.denied: Exception | None = None
        self.no_model: Exception | None = None
        self.down = asyncio.Event()
        """Never set: a sink that is asked for and does not answer."""
        self.drops: Any = None

    def service(self, name: str, **attributes: Any) -> Service:
        """A service that notes its start and its stop."""
        events = self.events

        class StandIn(Service):
            async def on_start(self) -> None:
                events.append(f"start {name}")

            async def on_stop(self) -> None:
                events.append(f"stop {name}")

        made = StandIn()
        for attribute, value in attributes.items():
            setattr(made, attribute, value)
        return made

    def noting(self, event: str, failure: Exception | None = None) -> Any:
        """An asynchronous method that is noted, and may fail."""

        async def method(*_: Any) -> None:
            self.events.append(event)
            if failure:
                raise failure

        return method

    def own_scorer(self, *_: Any) -> Any:
        self.events.append("model")
        if self.no_model:
            raise self.no_model
        return SimpleNamespace(version="a-model")

    def sinks(self, _: Any) -> Any:
        each = [SimpleNamespace(name=name) for name in SINKS]
        named = {sink.name: sink for sink in each}
        access = self.noting("check access", self.denied)
        return SimpleNamespace(each=each, check_access=access, **named)

    def producer(self, _: Any) -> Any:
        start, stop = self.noting("start producer"), self.noting("stop producer")
        return SimpleNamespace(start=start, stop=stop)

    def log(self, *_: Any) -> Any:
        return SimpleNamespace(open=self.noting("open log"), close=self.noting("close log"))

    def writer(self, settings: Any, sink: Any, *_: Any) -> Service:
        async def attempted() -> None:
            if sink.name == "postgres":
                await self.down.wait()

        return self.service(f"{sink.name} writer", sink=sink, attempted=attempted)

    def retention(self, *_: Any, drops: Any) -> Service:
        self.drops = drops
        return self.service("retention")


@pytest.fixture
def stand_ins(monkeypatch: pytest.MonkeyPatch) -> StandIns:
    made = StandIns()
    monkeypatch.setattr(workers, "SINK_OPEN_TIMEOUT", 0.01)
    replaced = {
        "own_scorer": made.own_scorer,
        "topics": SimpleNamespace(ensure=made.noting("topics")),
        "Sinks": made.sinks,
        "BatchProducer": made.producer,
        "DecisionLog": made.log,
        "Progress": lambda *_: made.service("progress", mark=None),
        "SinkWriter": made.writer,
        "ControlLog": lambda *_: made.service("control"),
        "LabelJoiner": lambda *_: made.service("label joiner"),
        "KnownLabels": lambda *_: made.service("known labels"),
        "QualityLabels": lambda *_: made.service("quality labels"),
        "label_keepers": lambda *_: [made.service("label keeper")],
        "Pending": lambda _: None,
        "DecisionListener": lambda *_: made.service("listener"),
        "LogQueries": lambda _: made.service("log_queries"),
        "TopicWatch": lambda *_: made.service("topics", ids={"in": "an-id"}),
        "ReadabilityProbe": lambda *_: made.service("readability"),
        "Retention": made.retention,
        "tuning": SimpleNamespace(relax_collector=lambda: None),
        "unknown_variables": lambda: ["FRAUD_TOPICS is not a setting"],
    }
    for name, value in replaced.items():
        monkeypatch.setattr(workers, name, value)
    return made


@pytest.fixture
def worker(stand_ins: StandIns, tmp_path: Any) -> FraudWorker:
    app: Any = AppDouble()
    app.transport = SimpleNamespace()
    return FraudWorker(settings_of(tmp_path), app)


async def test_each_part_is_opened_after_what_it_uses_and_closed_before_it(
    worker: FraudWorker, stand_ins: StandIns
) -> None:
    await asyncio.wait_for(worker.start(), PATIENCE)
    writers = [f"{name} writer" for name in SINKS]
    opened = ["model", "topics", "check access", "start producer", "open log"]
    services = ["control", *writers, *SERVICES]
    assert stand_ins.events == [*opened, *(f"start {each}" for each in services)]
    stand_ins.events.clear()
    await asyncio.wait_for(worker.stop(), PATIENCE)
    closed = ["close log", "stop producer"]
    assert stand_ins.events == [*(f"stop {each}" for each in services), *closed]


async def test_a_sink_that_is_down_keeps_no_worker_from_starting(worker: FraudWorker) -> None:
    await asyncio.wait_for(worker.start(), PATIENCE)
    assert worker.has_started
    assert [each.sink.name for each in worker.parts().sink_writers] == list(SINKS)
    assert worker.parts().scorer.version == "a-model"
    await worker.stop()


async def test_the_consumer_is_told_which_topics_are_meant(worker: FraudWorker) -> None:
    await worker.start()
    transport: Any = worker.app.transport
    assert transport.topic_ids == {"in": "an-id"}
    assert transport.end == worker.end
    await worker.stop()


async def test_what_has_expired_is_dropped_by_the_owner_of_the_first_partition(
    worker: FraudWorker, stand_ins: StandIns
) -> None:
    await worker.start()
    for partitions, drops in (([], False), ([1, 2], False), ([0, 3], True)):
        worker.takeover.current = Assignment(1, partitions)
        assert stand_ins.drops() == drops
    await worker.stop()


@pytest.mark.parametrize(
    ("failure", "before"),
    [
        ("no_model", ["model"]),
        ("denied", ["model", "topics", "check access"]),
    ],
)
async def test_what_needs_an_operator_stops_the_start_before_anything_else_is_opened(
    worker: FraudWorker, stand_ins: StandIns, failure: str, before: Iterable[str]
) -> None:
    failures = {"no_model": TrainingDataError("no rows"), "denied": AccessDenied("redis: no")}
    setattr(stand_ins, failure, failures[failure])
    with pytest.raises(SystemExit):
        await worker.on_start()
    assert stand_ins.events == before
    assert not worker.has_started


async def test_a_name_that_is_no_setting_is_told(
    worker: FraudWorker, caplog: pytest.LogCaptureFixture
) -> None:
    await worker.start()
    warnings = [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]
    assert "FRAUD_TOPICS is not a setting, and is ignored" in warnings
    await worker.stop()
