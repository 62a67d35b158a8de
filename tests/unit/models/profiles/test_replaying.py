"""Values of replayed transactions are a recount of what was before them, and known by then."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.profiles.events import Events
from models.profiles.reading import Floats
from models.profiles.remembering import Remembering
from models.profiles.replaying import LAST, replayed
from models.profiles.values import parse
from models.profiles.windows import DAY, HOUR, MINUTES
from tests.support.recounting import Past, recounted

VALUES = {
    name: parse(text)
    for name, text in {
        "s_1d": "count(sender, 1d)",
        "s_30d": "mean(sender, 30d)",
        "s_last": "seconds_since_last(sender)",
        "s_first": "days_since_first(sender)",
        "s_other": "distinct(sender, receiver, 24h)",
        "r_7d": "count(receiver, 7d)",
        "r_delayed": "fraud_rate(receiver, 7d, 7d)",
        "r_frauds": "frauds(receiver, 14d)",
    }.items()
}
NARROW = VALUES | {"s_5m": parse("count(sender, 5m)"), "r_1h": parse("frauds(receiver, 1h)")}
START = 1_764_460_800  # a midnight

seconds = st.one_of(
    st.integers(0, 2 * HOUR), st.integers(0, 3 * DAY), st.integers(0, 50 * DAY)
).map(START.__add__)
names = st.sampled_from(["a", "b", None])
pasts = st.builds(
    Past, seconds, names, names, st.sampled_from([0, 250, 99_999]), st.sampled_from([0, 0, 1])
)
delays = st.sampled_from([1, 60, HOUR, 7 * DAY])


class Row:
    """A transaction as remembering sees it."""

    def __init__(self, past: Past) -> None:
        self.sender, self.receiver = past.sender, past.receiver
        self.amount = past.cents / 100


def values_of(rows: Sequence[Past], delay: int) -> Floats:
    remembering = Remembering(VALUES, "amount", 0.01)
    return replayed(remembering, events_of(remembering, rows), frauds(rows), delay)


def events_of(remembering: Remembering, rows: Sequence[Past]) -> Events:
    return remembering.events([*map(Row, rows)], [each.second for each in rows])


def frauds(rows: Sequence[Past]) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.array([each.fraud for each in rows], np.bool_)


@settings(max_examples=150, deadline=None)
@given(rows=st.lists(pasts, min_size=1, max_size=40), delay=delays, narrow=st.booleans())
def test_values_are_a_recount_of_what_was_known_by_then(
    rows: list[Past], delay: int, narrow: bool
) -> None:
    declared = NARROW if narrow else VALUES
    remembering = Remembering(declared, "amount", 0.01)
    kept = {side.field: side.layout.levels.kept for side in remembering.sides}
    found = replayed(remembering, events_of(remembering, rows), frauds(rows), delay)
    order = sorted(range(len(rows)), key=lambda at: rows[at].second)
    for place, at in enumerate(order):
        now = rows[at]
        # Labels are told every five minutes.
        by = now.second - now.second % MINUTES
        before = [rows[each] for each in order[:place]]
        known = [
            each._replace(fraud=int(each.fraud and each.second + delay <= by)) for each in before
        ]
        for name, value in zip(remembering.names, found[at].tolist(), strict=True):
            wanted = recounted(declared[name], kept[declared[name].key], known, now)
            wanted = math.nan if wanted is None else wanted
            assert value == pytest.approx(wanted, rel=1e-12, nan_ok=True), (name, now)


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(pasts, min_size=2, max_size=40), delay=delays, data=st.data())
def test_a_label_changes_no_value_from_before_it_was_known(
    rows: list[Past], delay: int, data: st.DataObject
) -> None:
    at = data.draw(st.integers(0, len(rows) - 1))
    other = [*rows]
    other[at] = rows[at]._replace(fraud=1 - rows[at].fraud)
    one, two = values_of(rows, delay), values_of(other, delay)
    earlier = [place for place, each in enumerate(rows) if each.second < rows[at].second + delay]
    assert np.array_equal(one[earlier], two[earlier], equal_nan=True)


@settings(max_examples=100, deadline=None)
@given(rows=st.lists(pasts, min_size=1, max_size=40), order=st.randoms(use_true_random=False))
def test_the_order_of_rows_in_a_file_changes_nothing(rows: list[Past], order) -> None:  # type: ignore[no-untyped-def]
    # Rows of the same second come after each other in the order of the file.
    apart = [*{each.second: each for each in rows}.values()]
    places = [*range(len(apart))]
    order.shuffle(places)
    shuffled = values_of([apart[at] for at in places], DAY)
    assert np.array_equal(shuffled, values_of(apart, DAY)[places], equal_nan=True)


def test_what_comes_later_changes_nothing() -> None:
    rows = [Past(START + hour * HOUR, "a", "b", 100, fraud=1) for hour in range(24 * 20)]
    whole = values_of(rows, 7 * DAY)
    assert np.array_equal(values_of(rows[:300], 7 * DAY), whole[:300], equal_nan=True)
    assert whole[-1, -1] > 0


def test_nothing_is_replayed_where_there_is_nothing() -> None:
    assert values_of([], DAY).shape == (0, len(VALUES))


@pytest.mark.parametrize("second", [0, -1, LAST + 1])
def test_times_that_profiles_cannot_have_are_refused(second: int) -> None:
    with pytest.raises(ValueError, match="from 1970 to 2106"):
        values_of([Past(START, "a", "b", 1), Past(second, "a", "b", 1)], DAY)


def test_a_label_cannot_be_known_with_its_transaction() -> None:
    with pytest.raises(ValueError, match="known after its transaction"):
        values_of([Past(START, "a", "b", 1)], 0)
