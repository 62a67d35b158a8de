"""The generator keeps PaySim's arithmetic and habits, and its knobs do what they say."""

from __future__ import annotations

import csv
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import convert

from data import sample_path
from data.generator import Row, generate, write_csv
from data.plan import PAYSIM, Knobs, Plan
from data.shapes import TRANSFER_LIMIT, TYPE_SHAPES
from models.schema import schema

pytestmark = pytest.mark.slow


def frame_of(plan: Plan) -> pd.DataFrame:
    made: pd.DataFrame = pd.DataFrame(generate(plan), columns=list(Row._fields))
    return made


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """A plan with the default knobs, and a fraud rate that gives enough fraud to test with."""
    return frame_of(Plan(rows=60_000, fraud_rate=0.03, seed=1))


@pytest.fixture(scope="module")
def paysim() -> pd.DataFrame:
    return frame_of(Plan(rows=60_000, fraud_rate=0.03, seed=1, knobs=PAYSIM))


def drains(frame: pd.DataFrame) -> pd.Series:
    return frame["type"].isin(["TRANSFER", "CASH_OUT"]) & (
        frame["amount"] == frame["oldbalanceOrg"]
    )


def test_the_same_plan_gives_the_same_rows_and_another_seed_others() -> None:
    plan = Plan(rows=500)
    assert list(generate(plan)) == list(generate(plan))
    assert list(generate(plan)) != list(generate(replace(plan, seed=plan.seed + 1)))


def test_the_packaged_file_is_the_default_plans() -> None:
    with sample_path().open(encoding="utf-8", newline="") as file:
        kept = list(islice(csv.reader(file), 3001))
    fresh = [list(map(str, row)) for row in islice(generate(Plan()), 3000)]
    assert kept == [list(Row._fields), *fresh]


def test_the_packaged_file_has_the_natural_rate_of_fraud_and_stays_light() -> None:
    kept = pd.read_csv(sample_path())
    assert sample_path().stat().st_size < 15_000_000
    assert 100_000 <= len(kept) <= 190_000
    assert kept["isFraud"].mean() == pytest.approx(0.00129, rel=0.02)
    assert kept["step"].max() > 700


@given(
    rows=st.integers(0, 400),
    steps=st.integers(1, 60),
    rate=st.floats(0, 1),
    seed=st.integers(0, 99),
)
@settings(max_examples=30, deadline=None)
def test_every_row_is_a_valid_transaction(rows: int, steps: int, rate: float, seed: int) -> None:
    last = 1
    for row in generate(Plan(seed=seed, rows=rows, steps=steps, fraud_rate=rate)):
        each = convert(row._asdict() | {"transaction_id": "x"}, schema.PAYSIM.transaction)
        assert np.isfinite(each.amount)
        assert last <= each.step <= steps
        last = each.step


def test_balances_follow_the_published_arithmetic(frame: pd.DataFrame) -> None:
    moved = frame[frame["isFlaggedFraud"] == 0]
    sign = np.where(moved["type"] == "CASH_IN", 1.0, -1.0)
    expected = np.maximum(moved["oldbalanceOrg"] + sign * moved["amount"], 0.0)
    assert np.allclose(moved["newbalanceOrig"], expected, atol=0.005)


def test_merchants_take_payments_only_and_show_no_balance(frame: pd.DataFrame) -> None:
    merchant = frame["nameDest"].str.startswith("M")
    assert (merchant == (frame["type"] == "PAYMENT")).all()
    assert (frame.loc[merchant, ["oldbalanceDest", "newbalanceDest"]] == 0.0).all(axis=None)


def test_most_destinations_balance_and_the_busy_ones_do_not(frame: pd.DataFrame) -> None:
    chosen = frame[(frame["type"] == "CASH_OUT") & (frame["isFraud"] == 0)]
    gap = chosen["oldbalanceDest"] + chosen["amount"] - chosen["newbalanceDest"]
    assert 0.84 <= (gap.abs() < 0.01).mean() <= 0.92


def test_senders_are_new_and_receivers_come_back(frame: pd.DataFrame) -> None:
    assert frame["nameOrig"].nunique() > 0.97 * len(frame)
    accounts = frame[frame["type"] != "PAYMENT"]["nameDest"]
    assert (accounts.map(accounts.value_counts()) >= 5).mean() > 0.6


def test_types_come_in_the_measured_shares(frame: pd.DataFrame) -> None:
    shares = frame[frame["isFraud"] == 0]["type"].value_counts(normalize=True)
    for kind, shape in TYPE_SHAPES.items():
        assert shares[kind] == pytest.approx(shape.share, abs=0.01)


def test_nights_are_quiet(frame: pd.DataFrame) -> None:
    hours = (frame["step"] % 24)[frame["isFraud"] == 0].value_counts(normalize=True)
    assert hours.reindex(range(1, 6)).sum() < 0.02
    assert hours[18] > 0.06


def test_fraud_comes_as_transfer_and_cash_out_within_the_limit(frame: pd.DataFrame) -> None:
    fraud = frame[frame["isFraud"] == 1]
    counts = fraud["type"].value_counts()
    assert set(counts.index) == {"TRANSFER", "CASH_OUT"}
    assert counts["TRANSFER"] == pytest.approx(counts["CASH_OUT"], rel=0.05)
    assert fraud["amount"].max() <= TRANSFER_LIMIT
    assert (fraud["amount"] == TRANSFER_LIMIT).any()
    assert (frame["amount"] > TRANSFER_LIMIT).any()


def test_flagged_transfers_move_no_money_and_are_fraud(frame: pd.DataFrame) -> None:
    flagged = frame[frame["isFlaggedFraud"] == 1]
    assert len(flagged) > 0
    assert (flagged["isFraud"] == 1).all()
    assert (flagged["oldbalanceOrg"] == flagged["newbalanceOrig"]).all()
    assert (flagged["oldbalanceDest"] == flagged["newbalanceDest"]).all()


def test_with_the_knobs_off_one_comparison_finds_all_but_capped_fraud(
    paysim: pd.DataFrame,
) -> None:
    fraud = paysim["isFraud"] == 1
    assert not (drains(paysim) & ~fraud).any()
    capped = paysim["amount"] == TRANSFER_LIMIT
    assert (drains(paysim) | capped)[fraud].all()


def test_with_the_knobs_on_one_comparison_is_not_enough(frame: pd.DataFrame) -> None:
    fraud = frame["isFraud"] == 1
    assert 0.7 <= drains(frame)[fraud].mean() <= 0.9
    assert (drains(frame) & ~fraud).any()


def share_of(knob: str, made: pd.DataFrame) -> float:
    """Return how often the trait of each knob is seen."""
    fraud, drained = made["isFraud"] == 1, drains(made)
    transfer, cash_out = made["type"] == "TRANSFER", made["type"] == "CASH_OUT"
    mules = set(made["nameDest"][fraud & transfer])
    nights = (made["step"] % 24).between(1, 6)
    shares = {
        "partial_drains": ~drained[fraud & transfer],
        "noisy_cash_outs": ~drained[fraud & cash_out],
        "populated_mules": made["oldbalanceDest"][fraud & transfer] > 0,
        "linked_mules": made["nameOrig"][fraud & cash_out].isin(mules),
        "legitimate_drains": drained[~fraud & (transfer | cash_out)],
        "fraud_follows_volume": 1.0 - 4.0 * nights[fraud],  # a quarter of the hours is night
    }
    return float(shares[knob].mean())


@pytest.mark.parametrize("knob", vars(PAYSIM))
def test_a_knob_sets_the_share_it_names(knob: str) -> None:
    for value in (0.0, 0.3, 1.0):
        knobs = replace(PAYSIM, **{knob: value})
        made = frame_of(Plan(rows=20_000, fraud_rate=0.1, seed=4, knobs=knobs))
        assert share_of(knob, made) == pytest.approx(value, abs=0.06)


def test_a_rate_of_zero_means_no_fraud() -> None:
    assert not any(row.isFraud for row in generate(Plan(rows=2_000, fraud_rate=0.0)))


def test_knobs_are_on_by_default() -> None:
    assert Plan().knobs == Knobs()
    assert all(value > 0.0 for value in vars(Knobs()).values())


def test_a_written_file_reads_back(tmp_path: Path) -> None:
    plan = Plan(rows=300)
    count = write_csv(plan, tmp_path / "rows.csv")
    kept = pd.read_csv(tmp_path / "rows.csv")
    assert count == len(kept)
    assert list(kept.itertuples(index=False, name=None)) == [tuple(row) for row in generate(plan)]
