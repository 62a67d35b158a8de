"""Honest mistakes in labelled data are told; sound data say nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from data import sample_path
from data.cards.generator import write_csv
from data.cards.plan import Plan as CardsPlan
from data.plan import PAYSIM as NO_KNOBS
from models.schema.reading import read
from models.schema.schema import PAYSIM, Schema, preset
from models.training import guards
from models.training.dataset import Labelled, labelled
from models.training.row_sketch import digests, sketch
from tests.unit.models.conftest import generated

pytestmark = pytest.mark.slow

Change = Callable[[pd.DataFrame], pd.DataFrame]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return generated(rows=4_000, fraud_rate=0.05, seed=3)


def test_the_packaged_transactions_are_sound() -> None:
    assert guards.of_training(labelled(sample_path()), PAYSIM) == []


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("plan", [{}, {"knobs": NO_KNOBS}, {"fraud_rate": 0.02}])
def test_generated_transactions_are_sound(seed: int, plan: dict[str, Any]) -> None:
    assert guards.of_training(labelled(generated(rows=10_000, seed=seed, **plan)), PAYSIM) == []


@pytest.mark.parametrize("seed", range(3))
def test_generated_card_payments_are_sound(seed: int, tmp_path: Path) -> None:
    write_csv(CardsPlan.for_rows(10_000, 60, seed=seed), tmp_path / "cards.csv")
    schema = preset("cards")
    rows = labelled(tmp_path / "cards.csv", schema=schema)
    assert guards.of_training(rows, schema) == []


def test_paysims_own_rows_are_sound(real_rows: Labelled) -> None:
    assert guards.of_training(real_rows, PAYSIM) == []


def _twice(frame: pd.DataFrame) -> pd.DataFrame:
    copied: pd.DataFrame = pd.concat([frame, frame.iloc[::20]])
    return copied


MISTAKES: dict[str, tuple[Change, str]] = {
    "inverted": (
        lambda frame: frame.assign(isFraud=1 - frame.isFraud),
        "95.0% of the transactions are labelled as fraud",
    ),
    "cents": (
        lambda frame: frame.assign(amount=frame.amount * 100),
        r"amount is exactly 100 times oldbalanceOrg in \d+ rows",
    ),
    "balances in thousands": (
        lambda frame: frame.assign(oldbalanceOrg=frame.oldbalanceOrg * 1000),
        r"oldbalanceOrg is exactly 1000 times amount in \d+ rows",
    ),
    "rows twice": (_twice, "200 of 4,200 rows are equal to another"),
    "ids twice": (
        lambda frame: frame.assign(transaction_id=[f"t{n // 2}" for n in range(len(frame))]),
        "2,000 of 4,000 rows have an id that another row has",
    ),
    "one value": (
        lambda frame: frame.assign(oldbalanceDest=7.0),
        "oldbalanceDest is 7.0 in every row",
    ),
    "a column twice": (
        lambda frame: frame.assign(oldbalanceDest=frame.oldbalanceOrg),
        "oldbalanceOrg and oldbalanceDest are equal in every row",
    ),
    "the label in a field": (
        lambda frame: frame.assign(oldbalanceDest=frame.isFraud * 50.0),
        "feature log_destination_balance alone tells fraud from all else",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told(frame: pd.DataFrame, mistake: str) -> None:
    change, words = MISTAKES[mistake]
    changed = change(frame.iloc[:4_000])
    sentences = guards.of_training(labelled(changed), PAYSIM)
    assert any(pd.Series([each]).str.contains(words).item() for each in sentences), sentences
    if mistake not in ("the label in a field",):  # which is in two features
        assert len(sentences) == 1


def test_weights_bring_a_sample_of_the_honest_rows_back(frame: pd.DataFrame) -> None:
    rare = pd.concat([frame[frame.isFraud == 1], frame[frame.isFraud == 0].iloc[:100]])
    assert [*guards.inverted(labelled(rare))]
    assert not [*guards.inverted(labelled(rare, weight_legit=38.0))]


def test_round_amounts_are_not_taken_for_other_units() -> None:
    rng = np.random.default_rng(1)
    rows = generated(rows=4_000, fraud_rate=0.05, seed=3)
    limits = rows.assign(
        amount=rng.choice([10.0, 20.0, 50.0], len(rows)),
        oldbalanceOrg=rng.choice([1_000.0, 2_000.0, 5_000.0], len(rows)),
    )
    assert not [*guards.other_units(labelled(limits), PAYSIM.definition)]


def test_amounts_that_are_near_by_chance_are_not_taken_for_other_units() -> None:
    rng = np.random.default_rng(1)
    rows = generated(rows=50_000, fraud_rate=0.05, seed=3)
    amount = rng.integers(1_000, 2_000, len(rows)) / 100
    near = rows.assign(amount=amount, oldbalanceOrg=rng.integers(1_000, 2_000, len(rows)) * 1.0)
    assert not [*guards.other_units(labelled(near), PAYSIM.definition)]


OWN = """
name = "own"
[fields.transaction_id]
type = "text"
role = "id"
[fields.shop]
type = "text"
optional = true
[fields.kind]
type = "category"
optional = true
[fields.amount]
type = "amount"
role = "amount"
[fields.is_fraud]
type = "flag"
role = "label"
form = "0/1"
default = 0
[features]
log_amount = { log = "amount" }
shop_rate = { rate = "shop" }
kind_share = { frequency = "kind" }
kind_unknown = { missing = "kind" }
"""


def own(**columns: Iterable[object]) -> tuple[Labelled, Schema]:
    """Rows of a schema of our own, half of them fraud."""
    schema = Schema(read(OWN.encode(), "own.toml"))
    made = {"amount": np.arange(1, 201) % 7 + 1.0, "is_fraud": np.arange(200) % 2}
    return labelled(pd.DataFrame(made | columns), schema=schema), schema


def test_fields_that_the_file_does_not_have_are_no_constants() -> None:
    assert not [*guards.constant_fields(*own())]
    assert not [*guards.constant_fields(*own(kind=[None] * 200, shop=["a", "b"] * 100))]


def test_a_text_that_is_always_the_same_is_told() -> None:
    (sentence,) = guards.constant_fields(*own(kind=["x"] * 200))
    assert sentence.startswith("kind is x in every row")


def test_a_text_that_tells_the_label_is_told_as_training_learns_it() -> None:
    rows, schema = own(shop=["honest", "charged back"] * 100)
    (sentence,) = guards.leaks(rows, schema.definition)
    assert "shop_rate" in sentence
    rows, schema = own(shop=["a", "a", "b", "b"] * 50)
    assert not [*guards.leaks(rows, schema.definition)]


def test_few_frauds_may_be_told_by_one_feature(frame: pd.DataFrame) -> None:
    leaking = frame.assign(oldbalanceDest=frame.isFraud * 50.0)
    few = pd.concat([leaking[leaking.isFraud == 1].iloc[:19], leaking[leaking.isFraud == 0]])
    assert not [*guards.leaks(labelled(few), PAYSIM.definition)]


def test_rows_of_the_training_data_are_recognised_and_others_are_not(frame: pd.DataFrame) -> None:
    trained = {"row_sketch": sketch(digests(labelled(frame), PAYSIM)), "data_sha256": "ab"}
    half = pd.concat([frame.sample(frac=0.5), generated(rows=2_000, fraud_rate=0.05, seed=4)])
    (sentence,) = guards.trained_on(labelled(half), PAYSIM, trained, None)
    share = int(sentence.split("about ")[1].split("%")[0])
    assert 30 <= share <= 70
    unseen = labelled(generated(rows=4_000, fraud_rate=0.05, seed=4))
    assert not [*guards.trained_on(unseen, PAYSIM, trained, "cd")]
    (sentence,) = guards.trained_on(unseen, PAYSIM, trained, "ab")
    assert "this very file" in sentence
