"""Frauds are changed in ways that thieves know, in PaySim's arithmetic, and judged again."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.errors import TrainingDataError
from models.schema.schema import PAYSIM, preset
from models.scorer import Scorer
from models.training.evaluation import evaluate
from models.training.evasion import (
    FIELDS,
    LIMIT,
    WAYS,
    Payments,
    evasion,
    is_for,
    takes,
    variants,
)
from models.training.train import TrainedModel

cents = st.integers(1, 10**12).map(lambda each: each / 100.0)
RNG = np.random.default_rng(3)


def drained(*balances: float) -> Payments:
    """Transfers of a whole balance to an empty account."""
    money = np.array(balances)
    kinds = np.array(["TRANSFER"] * len(money), object)
    return {
        "type": kinds,
        "amount": money,
        "oldbalanceOrg": money,
        "oldbalanceDest": np.zeros(len(money)),
    }


@given(balance=cents)
@settings(deadline=None)
def test_no_way_takes_more_than_a_fee_above_the_balance(balance: float) -> None:
    for name, way in WAYS.items():
        made = way(drained(balance), np.random.default_rng(1))
        assert {len(column) for column in made.values()} == {3 if "three" in name else 1}
        assert (made["amount"] >= 0.0).all()
        assert made["amount"].max() <= balance * 1.0101 + 0.02, name
        assert (made["oldbalanceDest"] > 0.0).all() == (name == "receiver has a balance")


@given(balance=cents)
@settings(deadline=None)
def test_three_parts_are_the_balance_and_the_last_one_empties_the_account(balance: float) -> None:
    parts = WAYS["three equal parts"](drained(balance), RNG)
    amounts, held = parts["amount"], parts["oldbalanceOrg"]
    assert amounts.sum() == pytest.approx(balance)
    assert amounts.max() - amounts.min() <= 0.02
    assert held[1:] == pytest.approx(held[:-1] - amounts[:-1], abs=0.01)
    assert amounts[-1] == held[-1]


@given(balance=cents, share=st.floats(0.0, 1.0))
@settings(deadline=None)
def test_a_share_is_one_to_the_cent(balance: float, share: float) -> None:
    taken = takes(share)(drained(balance), RNG)["amount"]
    assert taken == pytest.approx(balance * share, abs=0.006)


def test_round_amounts_are_round_and_no_larger() -> None:
    made = WAYS["round amounts"](drained(1_234_567.89, 999.5, 0.5), RNG)
    assert made["amount"].tolist() == [1_234_000.0, 999.0, 0.0]


def test_the_ways_of_thieves_are_of_frauds_that_take_all_and_the_honest_ones_of_the_others() -> (
    None
):
    columns = {
        "type": np.array(["TRANSFER", "CASH_OUT", "TRANSFER", "CASH_OUT", "PAYMENT"], object),
        "amount": np.array([50.0, 20.0, LIMIT, 10.0, 10.0]),
        "oldbalanceOrg": np.array([50.0, 80.0, 3 * LIMIT, 10.0, 10.0]),
        "oldbalanceDest": np.zeros(5),
    }
    fraud = np.array([True, False, True, False, True])
    found = {name: made["amount"].tolist() for name, made in variants(columns, fraud)}
    assert found.keys() > WAYS.keys()
    assert found["takes 90 %"] == [45.0]
    assert found["takes 10,000,000 of more"] == [LIMIT]
    assert found["honest: empties the account"] == [10.0]
    assert found["honest: as if it emptied the account"] == [80.0, 10.0]


@pytest.mark.slow
def test_what_nobody_did_has_no_line(small: TrainedModel) -> None:
    scorer = Scorer("test", small.model.body.compiled(len(PAYSIM.features.names)))
    nobody = {name: column[:0] for name, column in drained(1.0).items()}
    assert evasion(nobody, np.zeros(0, bool), scorer) == []


@pytest.mark.slow
def test_lines_are_shares_of_the_scores_whatever_the_threshold(scorer: Scorer) -> None:
    columns, fraud = drained(*np.arange(1.0, 90.0) * 1e4), np.ones(89, bool)
    for block_at, share in ((0.0, 1.0), (1.1, 0.0)):
        table = evasion(columns, fraud, scorer, block_at)
        assert {each.way for each in table} == {*WAYS}
        assert {each.blocked for each in table} == {share}
        assert {each.rows for each in table} == {89, 267}
    assert evasion(columns, fraud, scorer) == evasion(columns, fraud, scorer)


@pytest.mark.parametrize("name", ["cards", "pacs008"])
def test_there_is_no_table_for_other_fields(name: str) -> None:
    assert is_for(PAYSIM)
    assert not is_for(preset(name))
    assert {*FIELDS} >= {*PAYSIM.features.fields}


@pytest.mark.slow
def test_the_card_and_the_evaluation_have_the_table(
    small: TrainedModel, scorer: Scorer, small_frame: pd.DataFrame
) -> None:
    of_card = {each["way"]: each for each in small.metrics["evasion"]}
    assert of_card["takes everything"]["rows"] > 10
    assert json.loads(json.dumps(small.metrics["evasion"])) == small.metrics["evasion"]
    report, *_ = evaluate(small_frame, scorer, evading=True)
    whole = {each["way"]: each for each in report["evasion"]}
    assert whole.keys() >= of_card.keys()
    assert whole["takes everything"]["rows"] > of_card["takes everything"]["rows"]
    assert whole["takes everything"]["blocked"] > 0.9
    assert "evasion" not in evaluate(small_frame, scorer)[0]


@pytest.mark.slow
def test_a_table_of_other_fields_is_refused(small: TrainedModel, small_frame: pd.DataFrame) -> None:
    other = Scorer("test", small.model.body.compiled(12), preset("cards"))
    with pytest.raises(TrainingDataError, match="PaySim's fields alone, and schema cards"):
        evaluate(small_frame, other, evading=True)
