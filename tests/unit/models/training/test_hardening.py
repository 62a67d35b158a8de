"""Rows to learn from come with changed copies of their frauds."""

from __future__ import annotations

import numpy as np
import pytest

from models.artifact import Kind
from models.schema.schema import PAYSIM, Schema, preset
from models.training.dataset import Labelled, labelled
from models.training.evasion import Way, drained, payments
from models.training.hardening import (
    LEARNED,
    MOST_LEFT,
    Hardening,
    leaves_little,
    leaves_some,
)
from tests.unit.models.conftest import generated


@pytest.fixture(scope="module")
def data() -> Labelled:
    return labelled(generated(rows=2_000, fraud_rate=0.1, seed=5), weight_legit=3.0)


def test_copies_have_a_share_of_the_weight_of_their_frauds_whatever_the_rows(
    data: Labelled,
) -> None:
    hardening = Hardening(data, PAYSIM, "gradient_boosting", 0.4)
    thieves = data.fraud & drained(payments(data))
    for rows in (np.ones(len(data.fraud), bool), data.step < 300, thieves, ~thieves):
        copies, found = hardening.of(rows), int((thieves & rows).sum())
        assert copies is not None
        assert {len(each) for each in copies} == {50 * found}
        assert copies.fraud.sum() == 10 * found
        assert (thieves & rows)[copies.of].all()
        assert copies.weight[copies.fraud].sum() == pytest.approx(0.4 * found)
        assert copies.weight[~copies.fraud].sum() == pytest.approx(4 * 0.4 * found)


def test_the_copies_are_those_of_the_ways(data: Labelled) -> None:
    copies = Hardening(data, PAYSIM, "gradient_boosting", 0.8).of(np.ones(len(data.fraud), bool))
    assert copies is not None
    thieves = data.fraud & drained(payments(data))
    columns = {name: each[thieves] for name, each in payments(data).items()}
    rng = np.random.default_rng(1)
    start = 0
    for name, way in LEARNED.items():
        made = PAYSIM.features.from_columns(way(columns, rng))
        end = start + len(made)
        assert (copies.matrix[start:end] == made).all(), name
        assert copies.weight[start:end].sum() == pytest.approx(0.1 * thieves.sum())
        assert (copies.of[start:end].reshape(-1, thieves.sum()) == np.flatnonzero(thieves)).all()
        start = end
    assert copies.fraud.tolist() == [True] * start + [False] * (len(copies.of) - start)


def test_look_alikes_have_the_same_sums_and_drain_nothing(data: Labelled) -> None:
    copies = Hardening(data, PAYSIM, "gradient_boosting", 0.8).of(np.ones(len(data.fraud), bool))
    assert copies is not None
    parts = np.split(copies.matrix, 5)
    names = list(PAYSIM.features.names)
    for part, kind in zip(parts[1:4], ("is_payment", "is_debit", "is_cash_in"), strict=True):
        for name, before, after in zip(names, parts[0].T, part.T, strict=True):
            if name.startswith("is_"):
                assert (after == (name == kind)).all()
            elif name == "takes_all":
                assert not after.any()
            else:
                assert (after == before).all()
    for name in ("log_amount", "log_origin_balance", "takes_all", "exceeds_balance"):
        assert not parts[4][:, names.index(name)].any()


@pytest.mark.parametrize("way", [leaves_some, leaves_little])
def test_a_share_of_the_balance_is_left(way: Way, data: Labelled) -> None:
    columns = {name: each[drained(payments(data))] for name, each in payments(data).items()}
    made = way(columns, np.random.default_rng(2))
    left = 1.0 - made["amount"] / columns["oldbalanceOrg"]
    assert (left > -0.01).all()
    assert (left < MOST_LEFT + 0.01).all()


def test_others_have_no_copies(data: Labelled) -> None:
    every = np.ones(len(data.fraud), bool)
    cases: list[tuple[Schema, Kind, float, dict[str, float]]] = [
        (PAYSIM, "gradient_boosting", 0.0, {"evasive": 0.0}),
        (PAYSIM, "logistic", 0.4, {}),
        (preset("cards"), "gradient_boosting", 0.4, {}),
    ]
    for schema, kind, evasive, told in cases:
        hardening = Hardening(data, schema, kind, evasive)
        assert hardening.told == told
        assert hardening.of(every) is None


def test_without_frauds_there_are_none(data: Labelled) -> None:
    honest = data.kept(~data.fraud)
    hardening = Hardening(honest, PAYSIM, "gradient_boosting", 0.5)
    copies = hardening.of(np.ones(len(honest.fraud), bool))
    assert copies is not None
    assert len(copies.of) == 0
