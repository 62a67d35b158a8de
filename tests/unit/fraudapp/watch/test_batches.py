"""Batches are counted by day and model, whatever their size, as if all had come at once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np
import pytest

from fraudapp.watch import batches
from fraudapp.watch.batches import WatchedBatches
from models.records import Decision, Outcome
from models.watch.cells import day_of
from models.watch.counting import Counter
from models.watch.expected import Bins, Expected
from tests.support.decisions import DECIDED_AT, decision

BY_CARD = Expected(
    rows=10.0, scores=[1.0] * 9, features={"a": Bins([0.5], [0.0, 0.5, 0.5]), "b": Bins([], [0, 1])}
)
OUTCOMES = (Outcome.APPROVE, Outcome.FLAG, Outcome.BLOCK, Outcome.BLOCK)
DAY = day_of(DECIDED_AT)


def decided(count: int, model: str = "m", at: datetime = DECIDED_AT) -> list[Decision]:
    return [
        decision(str(n), decision=OUTCOMES[n % 4], model_version=model, decided_at=at)
        for n in range(count)
    ]


@pytest.fixture
def watch() -> WatchedBatches:
    return WatchedBatches({"m": BY_CARD}.get)


@pytest.mark.parametrize("sizes", [[1] * 40, [40], [7, 1, 30, 2]])
def test_the_size_of_batches_does_not_matter(
    watch: WatchedBatches, monkeypatch: pytest.MonkeyPatch, sizes: Sequence[int]
) -> None:
    monkeypatch.setattr(batches, "ROWS", 16)
    rng = np.random.default_rng(1)
    matrix, scores = rng.random((40, 2), np.float32), rng.random(40)
    decisions, at = decided(40), 0
    for size in sizes:
        rows = slice(at, at + size)
        watch.add(matrix[rows], scores[rows], decisions[rows])
        at += size
    expected = Counter(BY_CARD).count(matrix, scores, flags=10, blocks=20)
    assert watch.take() == {(DAY, "m"): expected}
    assert watch.take() == {}


def test_models_and_days_are_apart(watch: WatchedBatches) -> None:
    row, score = np.zeros((1, 2), np.float32), np.zeros(1)
    later = DECIDED_AT + timedelta(days=1)
    for given in (decided(1), decided(1, "unknown"), decided(1, at=later), decided(1)):
        watch.add(row, score, given)
    found = watch.take()
    assert {key: cell.rows for key, cell in found.items()} == {
        (DAY, "m"): 2,
        (DAY, "unknown"): 1,
        (DAY + 1, "m"): 1,
    }
    assert found[DAY, "m"].features == [[0, 2, 0], [0, 2]]
    assert found[DAY, "unknown"].features == []


def test_the_card_of_a_model_is_asked_for_once() -> None:
    asked = []

    def expected(version: str) -> Expected:
        asked.append(version)
        return BY_CARD

    watch = WatchedBatches(expected)
    for _ in range(3):
        watch.add(np.zeros((1, 2), np.float32), np.zeros(1), decided(1))
        watch.take()
    assert asked == ["m"]


def test_what_cannot_be_counted_stops_nothing_and_is_told_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def expected(version: str) -> Expected:
        if version == "bad":
            raise ZeroDivisionError
        return BY_CARD

    watch = WatchedBatches(expected)
    for _ in range(3):
        for model in ("bad", "m"):
            watch.add(np.zeros((1, 2), np.float32), np.zeros(1), decided(1, model))
        assert {key: cell.rows for key, cell in watch.take().items()} == {(DAY, "m"): 1}
    assert caplog.text.count("rows of model bad are not watched") == 1
