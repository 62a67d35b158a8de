"""Generated transactions look like PaySim's, column by column, where the real ones are present."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.stats import ks_2samp

from data.fidelity import compare, distance, report
from data.generator import Row, generate
from data.plan import PAYSIM, Plan

pytestmark = pytest.mark.slow

REAL = (
    Path(
        os.environ.get("FRAUD_PAYSIM_DIR", Path(__file__).resolve().parents[4] / "shared" / "data")
    )
    / "paysim_steps_1_119.csv"
)


def sample(seed: int, rows: int = 40_000) -> pd.DataFrame:
    plan = Plan(rows=rows, fraud_rate=0.02, seed=seed, knobs=PAYSIM)
    made: pd.DataFrame = pd.DataFrame(generate(plan), columns=list(Row._fields))
    return made


def test_the_distance_is_the_kolmogorov_smirnov_statistic() -> None:
    rng = np.random.default_rng(1)
    one, other = rng.integers(0, 20, 300) / 7.0, rng.integers(3, 25, 200) / 7.0
    assert distance(one, other) == pytest.approx(ks_2samp(one, other).statistic)


def test_two_seeds_are_one_world() -> None:
    lines = [line for line in compare(sample(1), sample(2)) if "legitimate" in line.group]
    assert len(lines) == 25
    assert max(line.distance for line in lines if "DEBIT" not in line.group) < 0.05


def test_the_report_has_a_row_for_each_column_of_each_type() -> None:
    text = report(sample(1), sample(2))
    assert text.count("| TRANSFER fraud |") == 5
    assert text.count("\n") == 36


@pytest.mark.skipif(not REAL.exists(), reason=f"{REAL} is not here; see FRAUD_PAYSIM_DIR")
def test_no_column_is_far_from_the_real_one() -> None:
    lines = compare(pd.read_csv(REAL), sample(3, rows=100_000))
    for line in lines:
        limit = 0.2 if "Dest" in line.column or "DEBIT" in line.group else 0.12
        assert line.distance < limit, line
