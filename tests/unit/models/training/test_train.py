"""Training is repeatable, uses only the past, and says why it cannot use a file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray
from sklearn.pipeline import Pipeline

from models.artifact import Kind
from models.errors import TrainingDataError
from models.schema.schema import PAYSIM
from models.training.dataset import Labelled, labelled
from models.training.export import log_odds
from models.training.fitting import fitted
from models.training.periods import periods
from models.training.rounding import rounded
from models.training.train import TrainedModel, train
from tests.unit.models.conftest import KINDS, generated

pytestmark = pytest.mark.slow


def test_the_same_data_and_seed_give_the_same_model(
    small: TrainedModel, small_frame: pd.DataFrame
) -> None:
    assert train(small_frame, small.model.kind).model == small.model


TRAIN_BOTH = """
from models import artifact
from models.training.train import train
from tests.unit.models.conftest import KINDS, generated

frame = generated(rows=8_000, fraud_rate=0.05, seed=3)
for kind in KINDS:
    model = train(frame, kind, weight_legit=21.2).model
    print(artifact.version_of(artifact.encode(model), kind))
"""


def test_another_processor_or_number_of_threads_trains_the_same_version() -> None:
    processors = [
        {},
        {"OPENBLAS_CORETYPE": "Prescott", "OPENBLAS_NUM_THREADS": "1"},
        {"OPENBLAS_CORETYPE": "Haswell", "OMP_NUM_THREADS": "2"},
    ]
    versions = {
        subprocess.run(
            [sys.executable, "-c", TRAIN_BOTH],
            cwd=Path(__file__).parents[4],
            env={**os.environ, **each},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for each in processors
    }
    assert len(versions) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_last_digits_of_what_is_learned_make_no_other_model(
    small_frame: pd.DataFrame, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = train(small_frame, kind).model
    rng = np.random.default_rng(1)

    def near(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the same with errors of some units in the last place."""
        units = rng.integers(-8, 9, numbers.shape)
        moved: NDArray[np.float64] = numbers * (1.0 + units * np.finfo(float).eps)
        return moved

    def disturbed(pipeline: Pipeline) -> Pipeline:
        fitted = pipeline.steps[-1][1]
        if kind == "logistic":
            fitted.coef_, fitted.intercept_ = near(fitted.coef_), near(fitted.intercept_)
            scaler = pipeline.steps[0][1]
            scaler.mean_, scaler.scale_ = near(scaler.mean_), near(scaler.scale_)
        else:
            for tree in (each.tree_ for each in fitted.estimators_[:, 0]):
                tree.value[...] = near(tree.value)
                tree.weighted_n_node_samples[...] = near(tree.weighted_n_node_samples)
        return rounded(pipeline)

    monkeypatch.setattr("models.training.fitting.rounded", disturbed)
    monkeypatch.setattr("models.training.export.log_odds", lambda *given: near(log_odds(*given)))
    assert train(small_frame, kind).model == before


def test_thieves_who_know_are_caught_by_a_model_that_has_learned_of_them(
    small_frame: pd.DataFrame,
) -> None:
    trained = [train(small_frame, evasive=share) for share in (0.0, 1.0)]
    assert [each.training["evasive"] for each in trained] == [0.0, 1.0]
    before, after = ({x["way"]: x["blocked"] for x in each.metrics["evasion"]} for each in trained)
    for way in ("takes 99.9 %", "leaves 1.00", "round amounts"):
        assert after[way] > before[way] + 0.2
    assert after["takes everything"] > 0.9
    assert "evasive" not in train(small_frame, "logistic", evasive=1.0).training


@pytest.mark.parametrize("name", ["-", "fifo"])
def test_what_cannot_be_read_twice_is_refused_before_it_is_read(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(TrainingDataError, match="can be read only once"):
        train(Path(name) if name == "-" else tmp_path / name)


def _parts(data: Labelled) -> tuple[Labelled, Labelled, Labelled]:
    parts = periods(data)
    ((learn, tune),) = parts.folds
    return data.at(learn), data.at(tune), data.at(parts.test)


def test_the_order_of_the_file_does_not_matter_for_the_periods(small_frame: pd.DataFrame) -> None:
    shuffled, sorted_ = (
        labelled(each) for each in (small_frame.sample(frac=1.0, random_state=1), small_frame)
    )
    for mixed, ordered in zip(_parts(shuffled), _parts(sorted_), strict=True):
        assert np.array_equal(np.sort(mixed.amount), np.sort(ordered.amount))


def test_each_period_is_later_than_the_one_before_by_the_gap(small_frame: pd.DataFrame) -> None:
    learn, tune, test = _parts(labelled(small_frame))
    assert tune.step.min() - learn.step.max() > 24
    assert test.step.min() - tune.step.max() > 24


def test_a_change_of_the_test_period_changes_no_learned_number(small_frame: pd.DataFrame) -> None:
    """Only the metrics may see it: the calibration is what the card's model was given."""
    later = small_frame["step"] > _parts(labelled(small_frame))[1].step.max() + 24
    changed = small_frame.assign(
        amount=small_frame["amount"].where(~later, small_frame["amount"] * 3.0)
    )
    one, other = train(small_frame, "logistic"), train(changed, "logistic")
    assert one.calibration == other.calibration
    assert one.metrics["average_precision"] != other.metrics["average_precision"]


def test_label_and_flag_have_no_weight(small: TrainedModel) -> None:
    assert not {"isFraud", "isFlaggedFraud", "step"} & set(small.model.features)


def test_the_exported_model_equals_scikit_learn(
    small: TrainedModel, small_frame: pd.DataFrame
) -> None:
    matrix = labelled(small_frame).matrix
    slope, shift = small.calibration
    reference = slope * log_odds(small.pipeline, matrix) + shift
    compiled = small.model.body.compiled(len(PAYSIM.features.names)).log_odds(matrix)
    np.testing.assert_allclose(compiled, reference, rtol=0, atol=1e-9)


def test_progress_reports_each_stage(small_frame: pd.DataFrame) -> None:
    lines: list[str] = []
    train(small_frame, "logistic", progress=lines.append)
    assert lines[0].startswith("Reading")
    assert any("Average precision" in line for line in lines)
    assert lines[-1].startswith("Training on all")


def test_the_spread_over_seeds_is_reported(small_frame: pd.DataFrame) -> None:
    spread = train(small_frame, seeds=3).metrics["across_seeds"]
    assert spread["seeds"] == 3
    of = spread["average_precision"]
    assert of["least"] <= of["mean"] <= of["most"]
    assert of["least"] < of["most"]


def test_a_sample_of_the_legitimate_rows_is_weighed_back_to_the_true_rate(
    small_frame: pd.DataFrame,
) -> None:
    honest = small_frame[small_frame.isFraud == 0].iloc[::5]
    sample = pd.concat([honest, small_frame[small_frame.isFraud == 1]])
    trained = train(sample, "logistic", weight_legit=5.0)
    assert trained.training["fraud_rate"] == pytest.approx(small_frame.isFraud.mean(), rel=0.01)
    assert trained.metrics["sum_p_over_sum_y"] == pytest.approx(1.0, abs=0.25)


@pytest.mark.parametrize("kind", KINDS)
def test_boosting_stays_in_bounds_at_the_natural_fraud_rate(kind: Kind) -> None:
    rows = labelled(generated(rows=60_000, fraud_rate=0.0013, seed=11))
    # Fitted alone: the models that training calibrates it with take four times as long.
    raw = log_odds(fitted(kind, 7, rows, PAYSIM).pipeline, rows.matrix)
    assert np.abs(raw).max() < 100.0


@pytest.mark.parametrize("frauds", [0, 1, 2])
def test_too_little_fraud_is_refused(small_frame: pd.DataFrame, frauds: int) -> None:
    few = small_frame[small_frame.isFraud == 1].iloc[:frauds]
    frame = pd.concat([small_frame[small_frame.isFraud == 0], few])
    with pytest.raises(TrainingDataError, match="both classes are needed"):
        train(frame)


def test_nothing_but_fraud_is_refused(small_frame: pd.DataFrame) -> None:
    with pytest.raises(TrainingDataError, match="both classes are needed"):
        train(small_frame[small_frame.isFraud == 1])


def test_a_single_row_is_refused(small_frame: pd.DataFrame) -> None:
    with pytest.raises(TrainingDataError, match="both classes are needed"):
        train(small_frame.iloc[:1])


def test_labels_with_a_decimal_point_train_the_same_model(small_frame: pd.DataFrame) -> None:
    floats = small_frame.assign(isFraud=small_frame["isFraud"].astype(float))
    assert train(floats, "logistic").model == train(small_frame, "logistic").model
