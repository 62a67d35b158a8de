"""Trained models, which are made once, and PaySim's own rows where they are present."""

from __future__ import annotations

import os
from pathlib import Path

import pandas as pd
import pytest

from data.generator import Row, generate
from data.plan import Plan
from models.artifact import Kind
from models.schema.schema import PAYSIM
from models.scorer import Scorer
from models.training.dataset import Labelled, labelled
from models.training.train import TrainedModel, train

KINDS: tuple[Kind, ...] = ("gradient_boosting", "logistic")
REAL_DIR = Path(
    os.environ.get("FRAUD_PAYSIM_DIR", Path(__file__).resolve().parents[4] / "shared" / "data")
)


def generated(**plan: object) -> pd.DataFrame:
    """Generate the transactions of a plan as a frame."""
    rows = generate(Plan(**plan))  # type: ignore[arg-type]
    made: pd.DataFrame = pd.DataFrame(rows, columns=list(Row._fields))
    return made


def scorer_of(trained: TrainedModel) -> Scorer:
    return Scorer("test", trained.model.body.compiled(len(PAYSIM.features.names)))


@pytest.fixture(scope="session")
def small_frame() -> pd.DataFrame:
    """Enough to train on in a second: 20,000 rows, 2% fraud."""
    return generated(rows=20_000, fraud_rate=0.02, seed=5)


@pytest.fixture(scope="session", params=KINDS)
def small(request: pytest.FixtureRequest, small_frame: pd.DataFrame) -> TrainedModel:
    """A model of each kind, trained on the small frame."""
    return train(small_frame, request.param)


@pytest.fixture(scope="session")
def scorer(small: TrainedModel) -> Scorer:
    return scorer_of(small)


@pytest.fixture(scope="session")
def real_path() -> Path:
    """Every fraud of steps 1-119 and 50,000 legitimate rows, each standing for 21.2."""
    path = REAL_DIR / "paysim_steps_1_119.csv"
    if not path.exists():
        pytest.skip(f"{path} is not here; set FRAUD_PAYSIM_DIR to where it is")
    return path


@pytest.fixture(scope="session")
def real_rows(real_path: Path) -> Labelled:
    return labelled(real_path, weight_legit=21.2)
