"""Periods that somebody names: what is trained on, what is judged on, and what is in neither."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import convert, to_builtins
from numpy.typing import NDArray

from models.errors import TrainingDataError
from models.schema.schema import PAYSIM, preset
from models.training.chosen_periods import periods_of
from models.training.dataset import Labelled
from models.training.days import Days, Span, known_after
from models.training.period_ends import Steps

FIRST = 24 * 20_000 + 1
"""The first hour of a day."""


def rows(step: Steps, fraud: NDArray[np.bool_]) -> Labelled:
    """Rows without features."""
    count = len(step)
    blank = np.zeros((count, 1), dtype=np.float32)
    return Labelled(blank, fraud, np.ones(count), step, np.ones(count), None)


def month(days: int = 60, fraud_each: int = 3) -> Labelled:
    """Two rows an hour, of which every so many is fraud."""
    step = np.repeat(np.arange(FIRST, FIRST + 24 * days), 2)
    return rows(step, np.arange(len(step)) % fraud_each == 0)


def day(number: int) -> date:
    return date(1970, 1, 1) + timedelta(days=20_000 + number)


@given(
    train=st.integers(1, 20), gap=st.integers(0, 9), test=st.integers(1, 9), late=st.integers(0, 9)
)
def test_days_are_whole_and_follow_each_other(train: int, gap: int, test: int, late: int) -> None:
    data = month()
    judged = 60 - test - late
    parts = periods_of(data, Days(train, gap, test, test_from=day(judged)))
    since = (data.step - FIRST) // 24
    assert {*since[parts.test]} == {*range(judged, judged + test)}
    assert {*since[parts.learn]} == {*range(judged - gap - train, judged - gap)}
    assert parts.test.sum() == test * 48
    assert parts.gap == gap * 24
    tuned = np.sum([fold.tune for fold in parts.folds], axis=0)
    assert np.array_equal(tuned == 1, parts.learn)
    for fold in parts.folds:
        assert not (fold.learn & ~parts.learn).any()
        assert not (fold.learn & fold.tune).any()
        assert 0 < data.fraud[fold.learn].sum() < fold.learn.sum()


def test_without_a_date_the_last_days_are_judged() -> None:
    data, days = month(), Days(28, 7, 7)
    assert days.test_span(data.step) == Span(day(53), 7)
    assert days.train_span(data.step) == Span(day(18), 28)
    assert str(days.test_span(data.step)) == f"{day(53)} to {day(59)}"


@pytest.mark.parametrize(
    ("days", "words"),
    [
        (Days(28, 7, 7, date(2001, 1, 1)), "0 frauds in 0 transactions, and 10 of both classes"),
        (Days(28, 7, 7, day(5)), "there are 0 frauds"),
        (Days(28, 7, 7, day(70)), "from .*the data are of"),
    ],
)
def test_periods_without_both_classes_are_refused(days: Days, words: str) -> None:
    with pytest.raises(TrainingDataError, match=words):
        periods_of(month(), days)


def test_frauds_of_a_single_hour_cannot_be_calibrated_on() -> None:
    step = np.concatenate([np.full(40, FIRST), np.full(4, FIRST + 24)])
    fraud = np.arange(44) % 2 == 0
    with pytest.raises(TrainingDataError, match="all in the same hour"):
        periods_of(rows(step, fraud), Days(1, 0, 1))


def test_days_are_on_a_card_as_they_are_read_from_it() -> None:
    days = Days(28, 7, 7, date(2026, 3, 4))
    assert convert(to_builtins(days), Days) == days


def test_labels_are_late_only_where_features_are_made_of_them() -> None:
    assert known_after(preset("cards"), 3_600) == 3_600
    assert known_after(PAYSIM, 3_600) == 0


@pytest.mark.parametrize("step", [2**31 - 1, FIRST])
def test_days_beyond_the_calendar_are_refused(step: int) -> None:
    days = Days(28, 7, 7, None if step > FIRST else date(1, 1, 3))
    with pytest.raises(TrainingDataError, match="in no calendar"):
        periods_of(rows(np.array([step]), np.array([True])), days)
