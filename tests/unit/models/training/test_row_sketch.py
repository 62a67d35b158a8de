"""A sketch tells which share of some rows a model was trained on, however they are written."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.schema.schema import PAYSIM
from models.training.dataset import labelled
from models.training.row_sketch import SIZE, digests, share_seen, sketch
from tests.unit.models.conftest import generated

pytestmark = pytest.mark.slow


def hashes(count: int, seed: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return np.random.default_rng(seed).integers(0, 1 << 64, count, dtype=np.uint64)


@given(share=st.floats(0.0, 1.0), seed=st.integers(0, 1_000))
def test_the_share_is_estimated_within_its_error(share: float, seed: int) -> None:
    trained, others = hashes(4_000, seed), hashes(4_000, seed + 10_000)
    known = round(share * 4_000)
    found = share_seen(np.concatenate([trained[:known], others[known:]]), sketch(trained))
    assert abs(found - share) < 6.0 * 0.5 / SIZE**0.5


@given(rows=st.integers(3, SIZE - 1))
def test_a_sketch_of_few_rows_is_exact(rows: int) -> None:
    trained = hashes(rows, 1)
    mixed = np.concatenate([trained, hashes(rows, 2)])
    assert share_seen(mixed, sketch(trained)) == 0.5


@pytest.mark.parametrize("kept", [None, "", "zz", "abc", 5, [1], {}, "00" * 7])
def test_a_card_without_a_sketch_recognises_nothing(kept: object) -> None:
    assert share_seen(hashes(10, 1), kept) == 0.0


def test_order_labels_and_what_training_does_not_read_make_no_other_row() -> None:
    frame = generated(rows=2_000, fraud_rate=0.05, seed=1)
    other = (
        frame.sample(frac=1.0, random_state=1)
        .assign(isFraud=lambda each: 1 - each.isFraud)
        .drop(columns=["nameOrig", "nameDest", "newbalanceOrig"])
    )
    one, two = (np.sort(digests(labelled(each), PAYSIM)) for each in (frame, other))
    assert (one == two).all()
    assert pd.Series(one).is_unique


@pytest.mark.parametrize("column", ["step", "type", "amount", "oldbalanceOrg", "oldbalanceDest"])
def test_another_value_of_a_field_makes_another_row(column: str) -> None:
    frame = generated(rows=2_000, fraud_rate=0.05, seed=1)
    changed = frame.assign(**{column: "DEBIT" if column == "type" else frame[column] + 1})
    same = np.isin(digests(labelled(changed), PAYSIM), digests(labelled(frame), PAYSIM))
    assert same.mean() == (frame[column] == changed[column]).mean()
