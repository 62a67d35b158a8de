"""A model that is worse, or has shown too little, does not come to decide."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from fraudapp.reports.comparison import as_text
from models.comparing.comparison import Compared, compared
from models.comparing.pairs import UNKNOWN, Pairs
from models.comparing.promotion import Limits, refusals
from models.drift import histogram

DAY = 86_400.0
THRESHOLDS = {"flag": 0.5, "block": 0.8}


def pairs(rows: int = 20_000, days: float = 2.0, *, blur: float = 0.0, seed: int = 1) -> Pairs:
    """Two models that see the same frauds, unless the other one is blurred."""
    random = np.random.default_rng(seed)
    fraud = random.random(rows) < 0.02
    one = np.where(fraud, 0.6 + 0.4 * random.random(rows), 0.5 * random.random(rows))
    one = np.where(random.random(rows) < 0.002, 0.9, one)
    scores = np.stack([one, np.where(fraud, (1 - blur) * one, one)], 1)
    outcomes = (scores >= 0.5).astype(np.int8) + (scores >= 0.8)
    at = np.linspace(0.0, days * DAY, rows)
    return Pairs(scores, outcomes, 100 * one, at, fraud.astype(np.int8), np.ones(rows))


def found(given_: Pairs, trained: dict[str, list[float]] | None = None) -> Compared:
    return compared(given_, ("m1", "m2"), THRESHOLDS, trained or {}, [])


def why(given_: Pairs, **limits: Any) -> list[str]:
    return [*refusals(found(given_), Limits(**limits))]


def test_one_that_is_as_good_may_decide() -> None:
    assert why(pairs()) == []


def test_too_few_rows_days_or_frauds_refuse() -> None:
    (rows,) = why(pairs(5_000))
    assert rows == "it has 5,000 rows in shadow, and needs 10,000"
    (days,) = why(pairs(days=0.5))
    assert days.startswith("its rows are of 13 hours, which are 0.54 days")
    (frauds,) = why(pairs(), min_frauds=10_000)
    assert frauds.endswith("frauds are known, and it needs 10,000")


def test_days_are_those_with_rows() -> None:
    given_ = pairs()
    hour = np.linspace(0.0, DAY / 24, len(given_.at) - 1, endpoint=False)
    (days,) = why(given_._replace(at=np.append(hour, 30 * DAY)))
    assert days.startswith("its rows are of 2 hours, which are 0.08 days")


def test_a_worse_one_is_refused_in_words() -> None:
    said = why(pairs(blur=0.3), max_block_change=10)
    assert [each.split(" is worse")[0] for each in said] == [
        "its average precision",
        "its precision at block_at",
        "its recall at block_at",
    ]
    assert said[2].startswith("its recall at block_at is worse: 0.0000 instead of 0.")


def test_one_that_went_blind_is_refused_without_any_label() -> None:
    given_ = pairs(blur=0.9)
    unknown = given_._replace(labels=np.full(len(given_.labels), UNKNOWN, np.int8))
    (said,) = why(unknown)
    assert said.startswith("it would block 0.")
    assert found(unknown).quality == {}


def test_one_with_other_scores_than_in_its_training_is_refused() -> None:
    given_ = pairs()
    same = histogram(given_.scores[:, 1], np.ones(len(given_.scores)))
    assert not [*refusals(found(given_, {"m2": same}), Limits())]
    shifted = found(given_, {"m2": same[::-1]})
    (said,) = refusals(shifted, Limits())
    assert said.startswith("its scores are not those that it had in training")
    assert found(given_, {"m2": [1.0, 2.0]}).other.psi_of_training is None


@pytest.mark.parametrize(("before", "after"), [(0, 3), (3, 0), (2, 5), (10, 16)])
def test_a_change_of_few_blocks_that_chance_explains_is_none(before: int, after: int) -> None:
    outcomes = np.zeros((20_000, 2), np.int8)
    outcomes[:before, 0] = outcomes[:after, 1] = 2
    assert why(pairs()._replace(outcomes=outcomes)) == []


def test_tables_count_every_row_once() -> None:
    given_ = pairs(blur=0.3)
    told = found(given_)
    table = np.array(
        [[told.counts[one][other] for other in row] for one, row in told.counts.items()]
    )
    assert table.sum() == told.rows == 20_000
    assert told.agreement.value == np.trace(table) / table.sum()
    amounts = sum(sum(each.values()) for each in told.amounts.values())
    assert amounts == pytest.approx(given_.amounts.sum())
    assert (told.days, told.hours) == (3, 49)
    assert sum(told.other.scores) == 20_000
    text = as_text(told)
    assert "average_precision" in text
    assert "20,000 transactions that both have scored, on 3 days" in text
