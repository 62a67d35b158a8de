"""Of many honest rows, evenly spaced ones are fitted on, and stand for all."""

from __future__ import annotations

import pytest

from models.schema.schema import PAYSIM
from models.training import fitting
from models.training.dataset import Labelled, labelled
from models.training.fitting import fitted
from models.training.metrics import average_precision
from tests.unit.models.conftest import generated

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def data() -> Labelled:
    return labelled(generated(rows=12_000, fraud_rate=0.02, seed=5), weight_legit=3.0)


@pytest.mark.parametrize("most", [100, 1_000, 5_000])
def test_all_frauds_are_kept_and_the_weight_of_the_others(
    data: Labelled, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fitting, "MAX_HONEST", most)
    matrix, fraud, weight = fitting._thinned(data.matrix, data.fraud, data.weight)
    assert fraud.sum() == data.fraud.sum()
    assert most / 2 < (~fraud).sum() <= most
    assert len(matrix) == len(fraud) == len(weight)
    assert (weight[fraud] == data.weight[data.fraud]).all()
    assert weight.sum() == pytest.approx(data.weight.sum())


def test_few_rows_stay_as_they_are(data: Labelled) -> None:
    matrix, fraud, weight = fitting._thinned(data.matrix, data.fraud, data.weight)
    assert matrix is data.matrix
    assert fraud is data.fraud
    assert weight is data.weight


def test_a_third_of_the_honest_rows_make_a_model_about_as_good(
    data: Labelled, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = labelled(generated(rows=20_000, fraud_rate=0.02, seed=6))
    found = []
    for most in (100_000, 4_000):
        monkeypatch.setattr(fitting, "MAX_HONEST", most)
        scores = fitted("gradient_boosting", 7, data, PAYSIM).log_odds(later)
        found.append(average_precision(later.fraud, scores, later.weight))
    assert found[1] > found[0] - 0.02


def test_progress_is_told_of_many_rows(data: Labelled, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    fitted("gradient_boosting", 7, data, PAYSIM, told.append)
    assert told == []
    monkeypatch.setattr(fitting, "MANY_ROWS", 1_000)
    found = fitted("gradient_boosting", 7, data, PAYSIM, told.append)
    trees = found.pipeline.steps[-1][1].n_estimators
    assert told == [f"{count} of {trees} trees" for count in range(20, trees + 1, 20)]
