"""However few the frauds are and whenever they were, all periods have some, in order of time."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from models.artifact import Kind
from models.errors import TrainingDataError
from models.training.dataset import Labelled, labelled
from models.training.export import log_odds
from models.training.periods import ENOUGH, LEAST, Periods, periods, unknown_labels
from models.training.train import train
from tests.unit.models.conftest import KINDS, generated

pytestmark = pytest.mark.slow

Steps = NDArray[np.int64]
FEW = 66
LAST = 720
HOUR = 3_600
DAY = 24 * HOUR


def rows(step: Steps, fraud: NDArray[np.bool_]) -> Labelled:
    """Rows without features."""
    order = np.argsort(step, kind="stable")
    count = len(step)
    blank = np.zeros((count, 1), dtype=np.float32)
    return Labelled(blank, fraud[order], np.ones(count), step[order], np.ones(count), None)


def check(data: Labelled, parts: Periods, label_delay: int = 0) -> None:
    """Fail unless the periods are what a calibration and an evaluation may trust."""

    def has_both(part: NDArray[np.bool_]) -> bool:
        return bool(0 < data.fraud[part].sum() < part.sum())

    assert has_both(parts.learn)
    assert has_both(parts.test)
    assert data.step[parts.learn].max() < data.step[parts.test].min()
    for learn, tune in parts.folds:
        assert has_both(learn)
        assert data.fraud[tune].any()
        assert data.step[tune].max() < data.step[parts.test].min()
        assert data.step[learn].max() < data.step[parts.test].min()
        assert not np.isin(data.step[tune], data.step[learn]).any()
    tuned = np.sum([tune for _, tune in parts.folds], axis=0)
    assert tuned.max() == 1
    assert has_both(tuned == 1)
    if len(parts.folds) > 1 and not label_delay:
        assert int(data.fraud[tuned == 1].sum()) == int(data.fraud[~parts.test].sum())


def can_be_divided(data: Labelled) -> bool:
    """Whether two moments divide the rows into three parts that each have both classes."""
    parts = [{*data.step[data.fraud]}, {*data.step[~data.fraud]}]
    return any(
        all(
            any(step <= first for step in steps)
            and any(first < step <= second for step in steps)
            and any(step > second for step in steps)
            for steps in parts
        )
        for first, second in combinations(np.unique(data.step), 2)
    )


@given(
    frauds=st.lists(st.integers(1, 40), min_size=LEAST, max_size=80),
    others=st.lists(st.integers(1, 40), min_size=LEAST, max_size=200),
    scale=st.sampled_from([1, 24]),
)
def test_any_times_give_sound_periods_or_a_sentence(
    frauds: list[int], others: list[int], scale: int
) -> None:
    data = rows(
        np.array([*frauds, *others]) * scale,
        np.arange(len(frauds) + len(others)) < len(frauds),
    )
    if can_be_divided(data):
        check(data, periods(data))
    else:
        with pytest.raises(TrainingDataError, match="cannot be divided into three periods"):
            periods(data)


@given(moments=st.lists(st.integers(1, LAST), min_size=3, unique=True), data=st.data())
def test_three_hours_with_fraud_suffice_among_others(
    moments: list[int], data: st.DataObject
) -> None:
    size = max(LEAST, len(moments))
    frauds = moments + data.draw(
        st.lists(st.sampled_from(moments), min_size=size - len(moments), max_size=FEW)
    )
    step = np.array([*frauds, *range(1, LAST + 1)])
    made = rows(step, np.arange(len(step)) < len(frauds))
    check(made, periods(made))


def test_many_frauds_are_calibrated_on_one_period_of_their_own() -> None:
    step = np.tile(np.arange(1, LAST + 1), 10)
    data = rows(step, np.arange(len(step)) % 10 == 0)
    parts = periods(data)
    ((learn, tune),) = parts.folds
    assert learn is parts.learn
    assert int(data.fraud[tune].sum()) >= ENOUGH
    assert data.step[tune].min() - data.step[learn].max() > 24
    assert data.step[parts.test].min() - data.step[tune].max() > 24


def test_few_frauds_keep_the_gap_where_it_costs_few_of_them() -> None:
    step = np.tile(np.arange(1, LAST + 1), 10)
    data = rows(step, np.isin(np.arange(len(step)), np.arange(0, len(step), len(step) // FEW)))
    parts = periods(data)
    assert data.step[parts.test].min() - data.step[parts.learn].max() > 24
    for learn, tune in parts.folds:
        away = np.abs(data.step[learn][:, None] - np.unique(data.step[tune])[None, :])
        assert away.min() >= 24


@given(
    hours=st.integers(48, 3_000),
    every=st.integers(2, 60),
    share=st.integers(2, 50),
    delay=st.integers(1, 60 * DAY),
)
def test_no_label_is_used_that_is_not_known_when_the_test_begins_or_it_is_told(
    hours: int, every: int, share: int, delay: int
) -> None:
    step = np.repeat(np.arange(1, hours + 1), every)
    data = rows(step, np.arange(len(step)) % share == 0)
    if int(data.fraud.sum()) < LEAST:
        return
    parts = periods(data, delay)
    check(data, parts, delay)
    used = np.sum([parts.learn, *(each for fold in parts.folds for each in fold)], axis=0) > 0
    apart = int(data.step[parts.test].min() - 1 - data.step[used].max())
    assert apart >= parts.gap
    assert any(unknown_labels(parts, delay)) == (apart * HOUR < delay)


@pytest.mark.parametrize("frauds", [FEW, 20 * FEW])
def test_the_gap_is_as_long_as_labels_take(frauds: int) -> None:
    step = np.tile(np.arange(1, 60 * 24 + 1), 10)
    data = rows(step, np.arange(len(step)) % (len(step) // frauds) == 0)
    assert periods(data, 7 * DAY).gap == 7 * 24
    assert periods(data, 7 * DAY + 1).gap == 7 * 24 + 1
    assert periods(data, HOUR).gap == 24
    assert not [*unknown_labels(periods(data, 7 * DAY), 7 * DAY)]


def test_data_that_are_too_short_for_the_gap_keep_half_of_their_frauds_and_tell() -> None:
    step = np.tile(np.arange(1, 14 * 24 + 1), 10)
    data = rows(step, np.arange(len(step)) % 40 == 0)
    parts = periods(data, 7 * DAY)
    assert parts.gap == 84
    assert 2 * data.fraud[parts.learn].sum() >= data.fraud[~parts.test].sum()
    (sentence,) = unknown_labels(parts, 7 * DAY)
    assert "7 days after" in sentence
    assert "before the test is 3.5 days" in sentence
    assert "--gap-days 7" in sentence


@pytest.mark.parametrize(("frauds", "others"), [(0, 50), (9, 50), (50, 9), (1, 0)])
def test_too_few_of_a_class_are_counted_in_the_sentence(frauds: int, others: int) -> None:
    step = np.arange(1, frauds + others + 1)
    with pytest.raises(TrainingDataError, match=rf"{frauds} frauds in .*, 10 of each at least"):
        periods(rows(step, step <= frauds))


def test_frauds_of_two_hours_are_refused_with_the_reason() -> None:
    step = np.array([5, 9] * 20 + list(range(1, 100)))
    with pytest.raises(TrainingDataError, match="40 frauds are in 2 different hours"):
        periods(rows(step, np.arange(len(step)) < 40))


def _bursts(rng: np.random.Generator) -> Steps:
    return rng.choice(rng.integers(1, LAST - 4, 4), FEW) + rng.integers(0, 3, FEW)


def _clump(rng: np.random.Generator) -> Steps:
    """Nine of ten are reported under the same three hours."""
    spread = rng.integers(1, LAST + 1, FEW)
    return np.where(rng.random(FEW) < 0.9, rng.integers(300, 303, FEW), spread)


MOMENTS: dict[str, Callable[[np.random.Generator], Steps]] = {
    "any time": lambda rng: rng.integers(1, LAST + 1, FEW),
    "bursts": _bursts,
    "a clump": _clump,
    "early": lambda rng: rng.integers(1, 240, FEW),
    "late": lambda rng: rng.integers(600, LAST + 1, FEW),
}


@pytest.fixture(scope="module")
def pool() -> pd.DataFrame:
    return generated(rows=4_000, fraud_rate=0.05, seed=8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("when", MOMENTS)
def test_66_frauds_train_a_calibrated_model_whenever_they_were(
    pool: pd.DataFrame, when: str, kind: Kind
) -> None:
    for draw in range(3 if kind == "logistic" else 1):
        rng = np.random.default_rng(draw)
        frauds = pool[pool.isFraud == 1].sample(FEW, random_state=draw)
        frame = pd.concat([pool[pool.isFraud == 0], frauds.assign(step=MOMENTS[when](rng))])
        trained = train(frame, kind)
        assert trained.training["calibration_folds"] > 1
        unseen = labelled(pool.drop(frauds.index))
        scores = trained.calibration.scores(log_odds(trained.pipeline, unseen.matrix))
        # As many frauds as the training data had, at their rate among all others.
        expected = float(scores[~unseen.fraud].sum()) + float(scores[unseen.fraud].mean()) * FEW
        assert 0.6 < expected / FEW < 1.5
