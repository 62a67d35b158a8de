"""The watch is told of the whole cluster: as JSON, and as metrics."""

from __future__ import annotations

import re
from typing import get_args

import pytest
from prometheus_client import generate_latest

from fraudapp.decisions.recent import Unknowable
from fraudapp.metrics import registry
from models.watch.cells import Days, day_of
from models.watch.documents import Kind
from tests.support.decisions import DECIDED_AT
from tests.support.views import Client, ViewBench
from tests.unit.models.watch.making import USUAL, cell
from tests.unit.models.watch.test_labels import told as labelled
from web import watch_told
from web.quality_told import QualityTold

NOW = DECIDED_AT.timestamp()
DAY = day_of(DECIDED_AT)


class Clock:
    """The time module, as far as it is used; time stands still."""

    def time(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 5.0


@pytest.fixture
def counted(bench: ViewBench, monkeypatch: pytest.MonkeyPatch) -> ViewBench:
    """Two partitions have cells of a day on which the model has found nothing."""
    monkeypatch.setattr(watch_told, "time", Clock())
    bench.parts.expected["m"] = USUAL
    for partition in (0, 1):
        days = Days()
        days.add(DAY, "m", cell(50_000, high=0, blocks=3, score=0))
        bench.tables.watch.values[partition] = days
    return bench


async def test_programs_get_what_all_partitions_come_to(counted: ViewBench, client: Client) -> None:
    async with client.get("/watch") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        told = await answer.json()
    (alarm,) = told["alarms"]
    assert (alarm["kind"], alarm["model"], alarm["since"]) == ("high_scores", "m", "2026-03-04")
    assert alarm["says"].startswith("Of model m, 0 of 100,000 transactions have a score from 0.5")
    ((day,),) = (model["days"] for model in told["models"])
    assert (day["rows"], day["blocks"], day["unjudged"]) == (100_000, 6, "")
    assert set(day["features"]) == {"size", "is_new"}
    assert [each["edge"] for each in day["high"]] == [0.5, 0.8]


async def test_labels_are_told_of_in_the_same_place(
    counted: ViewBench, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(QualityTold, "quality", lambda *_: labelled(300, 700))
    async with client.get("/watch") as answer:
        told = await answer.json()
    assert [each["kind"] for each in told["alarms"]] == ["high_scores", "precision"]


async def test_without_labels_the_rest_is_told(
    counted: ViewBench, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise Unknowable("this worker has not counted all labels yet")

    monkeypatch.setattr(QualityTold, "quality", unknown)
    async with client.get("/watch") as answer:
        assert answer.status == 200
        assert [each["kind"] for each in (await answer.json())["alarms"]] == ["high_scores"]


async def test_a_worker_that_has_not_read_the_table_says_so(
    counted: ViewBench, client: Client
) -> None:
    counted.tables.watch.recovered = False
    async with client.get("/watch") as answer:
        assert answer.status == 503
        assert "does not have all cells yet" in (await answer.json())["detail"]
    assert metrics() == {}


async def test_an_alarm_is_a_metric(counted: ViewBench) -> None:
    names = [("", kind) for kind in get_args(Kind)]
    names += [("is_new", "feature"), ("size", "feature")]
    assert metrics() == {
        f'fraud_watch_alarm{{feature="{feature}",kind="{kind}"}}': float(kind == "high_scores")
        for feature, kind in names
    }


async def test_without_cells_there_is_nothing_to_tell(bench: ViewBench, client: Client) -> None:
    async with client.get("/watch") as answer:
        told = await answer.json()
    assert (told["alarms"], told["models"]) == ([], [])
    assert not any(metrics().values())


def metrics() -> dict[str, float]:
    text = generate_latest(registry).decode()
    return {
        name: float(value)
        for name, value in re.findall(r"^(\S+) (\S+)$", text, re.MULTILINE)
        if name.startswith("fraud_watch")
    }
