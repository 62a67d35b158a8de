"""Quality is told of the whole cluster: a page for people, JSON for programs, and metrics."""

from __future__ import annotations

import re

import pytest
from prometheus_client import generate_latest

from fraudapp.decisions.recent import Unknowable
from fraudapp.metrics import registry
from models.quality.cells import DecisionCells
from models.quality.labelled import LabelledWeek, about
from models.quality.quality import quality as quality_of
from models.records import Decision, Outcome
from models.schema.schema import PAYSIM
from tables.quality import PartitionCells
from tests.support.decisions import DECIDED_AT, decision
from tests.support.views import Client, ViewBench
from web import quality_told
from web.quality_metrics import quality

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
WEEK = 7 * 86_400
NOW = DECIDED_AT.timestamp() + 2 * WEEK


def made(partition: int) -> list[Decision]:
    by = (Outcome.BLOCK, Outcome.BLOCK, Outcome.FLAG, Outcome.APPROVE)
    return [
        decision(f"{partition}-{n}", decision=outcome, hits=["large"], policy_version="3+7")
        for n, outcome in enumerate(by)
    ]


@pytest.fixture
def counted(bench: ViewBench, monkeypatch: pytest.MonkeyPatch) -> ViewBench:
    """Two partitions have cells; one decision of each outcome is labelled in the first of them."""
    monkeypatch.setattr(quality_told, "time", Clock())
    for partition in (0, 1):
        cells = DecisionCells()
        cells.add(made(partition))
        bench.tables.quality.values[partition] = PartitionCells(4, cells)
    for each, label in zip(made(0)[1:], (1, 1, 0), strict=True):
        moved = about(each, PAYSIM)
        week = bench.parts.quality_labels.setdefault((moved.week, 0), LabelledWeek())
        week.move(moved, None, 1 if label else 0)
    return bench


class Clock:
    """The time module, as far as it is used; time stands still."""

    def time(self) -> float:
        return NOW

    def monotonic(self) -> float:
        return 5.0


async def test_programs_get_the_sums_of_all_partitions(counted: ViewBench, client: Client) -> None:
    async with client.get("/quality") as answer:
        assert (answer.status, answer.content_type) == (200, "application/json")
        assert "Accept" in answer.headers["Vary"]
        told = await answer.json()
    (week,) = told["weeks"]
    assert (week["week"], told["mature_days"], told["amount_unit"]) == ("2026-03-02", 7, 0.01)
    assert week["maturity"] == {"decided": 1.0, "labelled": 3 / 8}
    block = week["measured"]["outcomes"]["BLOCK"]
    assert (block["rows"], block["frauds"], block["legitimate"]) == (4, 1, 0)
    assert block["expected"] == 0.875
    assert block["observed"]["value"] == 1.0
    assert 0 < block["observed"]["low"] < 1
    assert week["measured"]["recall_block"]["value"] == 0.5
    assert week["measured"]["control"] is None
    (version,) = week["versions"]
    assert (version["model"], version["policy"]) == ("m1", "3")
    assert version["measured"] == week["measured"] == told["total"]["measured"]
    (rule,) = week["rules"]
    assert (rule["rule"], rule["rows"], rule["frauds"], rule["legitimate"]) == ("large", 8, 2, 1)


async def test_people_get_a_page_that_shows_no_numbers_by_itself(
    counted: ViewBench, client: Client
) -> None:
    async with client.get("/quality", headers=BROWSER) as answer:
        page = await answer.text()
    assert (answer.status, answer.content_type) == (200, "text/html")
    assert "/static/quality.js" in page
    assert 'href="/quality" aria-current="page"' in page
    assert "2026-03-02" not in page


async def test_weeks_and_days_of_maturity_can_be_asked_for(
    counted: ViewBench, client: Client
) -> None:
    cells = counted.tables.quality.values[0].cells
    cells.add([decision("next", decided_at=DECIDED_AT.replace(day=11))])
    async with client.get("/quality") as answer:
        assert [each["week"] for each in (await answer.json())["weeks"]] == [
            "2026-03-09",
            "2026-03-02",
        ]
    async with client.get("/quality?weeks=2&mature_days=90") as answer:
        told = await answer.json()
    assert [each["week"] for each in told["weeks"]] == ["2026-03-09"]
    assert told["mature_days"] == 90
    assert told["total"]["maturity"]["decided"] == 0.0


@pytest.mark.parametrize(
    "asked", ["weeks=0", "weeks=14", "weeks=x", "mature_days=91", "weeks=%EF%BC%91"]
)
async def test_any_other_number_is_refused(counted: ViewBench, client: Client, asked: str) -> None:
    async with client.get(f"/quality?{asked}") as answer:
        assert (answer.status, answer.content_type) == (422, "application/problem+json")
        (error,) = (await answer.json())["errors"]
    assert error["field"] == asked.partition("=")[0]
    assert "must be a whole number from" in error["problem"]


async def test_what_is_not_known_is_not_told(
    counted: ViewBench, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unknown(*_: object) -> None:
        raise Unknowable("the cells of labels cannot be read on this worker; try again")

    labels = counted.worker.parts().quality_labels
    monkeypatch.setattr(labels, "cells", unknown)
    async with client.get("/quality") as answer:
        assert answer.status == 503
    assert metrics() == {}


async def test_a_worker_that_has_not_counted_all_labels_says_so(
    counted: ViewBench, client: Client
) -> None:
    counted.worker.parts().quality_labels.has_caught_up = False
    async with client.get("/quality") as answer:
        assert answer.status == 503
        assert "has not counted all labels yet" in await answer.text()


async def test_a_worker_that_has_not_read_the_table_says_so(
    counted: ViewBench, client: Client
) -> None:
    counted.tables.quality.recovered = False
    async with client.get("/quality") as answer:
        assert answer.status == 503
        assert "does not have all cells yet" in (await answer.json())["detail"]


async def test_metrics_are_of_labels_and_of_mature_weeks(counted: ViewBench) -> None:
    found = metrics()
    assert found['fraud_labelled_decisions{label="fraud",outcome="BLOCK"}'] == 1
    assert found['fraud_labelled_decisions{label="legitimate",outcome="APPROVE"}'] == 1
    assert found['fraud_expected_precision{outcome="BLOCK"}'] == 0.875
    assert found['fraud_observed_precision{outcome="FLAG"}'] == 1
    assert found['fraud_precision_labels{outcome="BLOCK"}'] == 1


def test_precision_that_is_not_known_is_no_metric(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = quality_of({}, {}, now=NOW, unit=0.01)
    monkeypatch.setattr(quality, "source", lambda: nothing)
    assert {name.partition("{")[0] for name in metrics()} == {
        "fraud_labelled_decisions",
        "fraud_precision_labels",
    }


def metrics() -> dict[str, float]:
    text = generate_latest(registry).decode()
    return {
        name: float(value)
        for name, value in re.findall(r"^(\S+) (\S+)$", text, re.MULTILINE)
        if name.startswith(
            ("fraud_labelled", "fraud_expected", "fraud_observed", "fraud_precision")
        )
    }
