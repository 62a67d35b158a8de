"""A day of 100,000 transactions shows five shifts that the drift of scores does not, and no others.

The model is the one that a worker trains at its first start.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from data.generator import Row, generate
from data.plan import Plan
from fraudapp.model_registry import ModelRegistry
from models.artifact import Card
from models.schema.features import Matrix
from models.schema.schema import PAYSIM
from models.scorer import Scorer
from models.watch.cells import Cell
from models.watch.counting import Counter
from models.watch.documents import Alarm
from models.watch.expected import Expected, expected_by
from models.watch.judging import watched

Columns = dict[str, NDArray[Any]]
SEEDS: Final = range(100, 120)
DAY_ROWS: Final = 100_000
SMALL: Final = (50, 200, 1_000)
SMALL_DAYS: Final = 300
"""Small days that are drawn of each size."""


class Trained(NamedTuple):
    scorer: Scorer
    expected: Expected
    counter: Counter

    def cell(self, matrix: Matrix) -> Cell:
        return self.counter.count(matrix, self.scorer.score_matrix(matrix))

    def alarms(self, cell: Cell) -> list[Alarm]:
        return watched({0: {"m": cell}}, lambda version: self.expected, 0.0).alarms


@pytest.fixture(scope="module")
def trained(trained_models: Path) -> Trained:
    registry = ModelRegistry(trained_models)
    scorer = registry.load_active()
    card: Card = registry.card(scorer.version)
    expected = expected_by(card.training, card.features)
    assert expected is not None
    assert list(expected.features) == list(PAYSIM.features.names)
    return Trained(scorer, expected, Counter(expected))


def day(seed: int) -> Columns:
    rows = generate(Plan(seed=seed, rows=DAY_ROWS, steps=24))
    return dict(zip(Row._fields, map(np.array, zip(*rows, strict=True)), strict=True))


def matrix(columns: Columns) -> Matrix:
    features = PAYSIM.features
    return features.from_columns({name: columns[name].tolist() for name in features.fields})


def stale(of: Columns) -> Columns:
    return {"oldbalanceOrg": np.round(of["oldbalanceOrg"] * 0.99, 2)}


def nine_tenths(of: Columns) -> Columns:
    taken = np.round(of["amount"] * 0.9, 2)
    return {"amount": np.where(of["isFraud"] == 1, taken, of["amount"])}


def honest_drains(of: Columns) -> Columns:
    """One in a hundred of those that may empty an account does."""
    may = (of["isFraud"] == 0) & np.isin(of["type"], ["TRANSFER", "CASH_OUT"])
    drains = may & (np.random.default_rng(1).random(len(may)) < 0.01)
    return {"oldbalanceOrg": np.where(drains, of["amount"], of["oldbalanceOrg"])}


def other_money(of: Columns) -> Columns:
    return {name: of[name] * 10 for name in ("amount", "oldbalanceOrg", "oldbalanceDest")}


def no_receiver(of: Columns) -> Columns:
    return {"oldbalanceDest": np.zeros_like(of["oldbalanceDest"])}


@pytest.fixture(scope="module")
def usual_day() -> Columns:
    return day(SEEDS[0])


@pytest.mark.parametrize(
    ("shift", "kind", "feature"),
    [
        (stale, "high_scores", ""),
        (nine_tenths, "high_scores", ""),
        (honest_drains, "high_scores", ""),
        (other_money, "feature", "log_amount"),
        (no_receiver, "feature", "destination_empty"),
    ],
)
def test_a_shift_is_told_within_a_day(
    trained: Trained,
    usual_day: Columns,
    shift: Callable[[Columns], Columns],
    kind: str,
    feature: str,
) -> None:
    found = trained.alarms(trained.cell(matrix(usual_day | shift(usual_day))))
    assert (kind, feature) in [(each.kind, each.feature) for each in found]


def test_days_without_a_shift_raise_no_alarm_whatever_their_size(trained: Trained) -> None:
    rng = np.random.default_rng(11)
    for seed in SEEDS:
        rows = matrix(day(seed))
        assert trained.alarms(trained.cell(rows)) == [], seed
        for size in SMALL:
            for _ in range(SMALL_DAYS // len(SEEDS)):
                some = rows[rng.integers(0, len(rows), size)]
                assert trained.alarms(trained.cell(some)) == [], (seed, size)
