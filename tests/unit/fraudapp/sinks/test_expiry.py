"""Neither a single clock nor a single look drops more than a little of what is kept."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fraudapp.sinks.expiry import (
    MAX_CLOCK_DIFFERENCE,
    MAX_DAYS_PER_LOOK,
    NOTICE_PERIOD,
    ClocksDisagree,
    Expiry,
    agreed_day,
)

moments = st.datetimes(timezones=st.just(timezone.utc))
days = st.dates()
keeps = st.integers(1, 36_500)


@given(one=moments, other=moments)
def test_it_is_the_earlier_of_two_days_or_none(one: datetime, other: datetime) -> None:
    if abs(one - other) > MAX_CLOCK_DIFFERENCE:
        with pytest.raises(ClocksDisagree) as raised:
            agreed_day(one, other)
        for each in (one, other):
            assert f"{each:%m-%d %H:%M:%S}" in str(raised.value)
    else:
        assert agreed_day(one, other) == agreed_day(other, one) == min(one, other).date()


@given(one=moments, apart=st.timedeltas(-MAX_CLOCK_DIFFERENCE, MAX_CLOCK_DIFFERENCE))
def test_clocks_that_are_nearly_right_agree(one: datetime, apart: timedelta) -> None:
    try:
        other = one + apart
    except OverflowError:
        return
    assert agreed_day(one, other) == min(one, other).date()


looks = st.lists(
    st.tuples(days, st.floats(0, 2 * NOTICE_PERIOD), st.sets(days, max_size=3), st.booleans()),
    max_size=12,
)


@given(keep=keeps, there=st.sets(days, max_size=20), looks=looks)
def test_whatever_clocks_say_dropped_days_are_few_have_expired_and_were_announced(
    keep: int, there: set[date], looks: list[tuple[date, float, set[date], bool]]
) -> None:
    expiry, at = Expiry(keep), 0.0
    told: dict[date, float] = {}
    for today, later, new, undone in looks:
        at += later
        there |= new
        step = expiry.look(there, today, at)
        assert step.due == sorted(day for day in there if day < today and (today - day).days > keep)
        assert (
            step.drop == step.due[: len(step.drop)]
        )  # the oldest, so that a purge deletes no others
        assert len(step.drop) <= MAX_DAYS_PER_LOOK
        assert all(at - told[day] >= NOTICE_PERIOD for day in step.drop)
        assert set(step.announce) <= set(step.due) - set(step.drop)
        assert len(step.announce) <= MAX_DAYS_PER_LOOK
        there -= set(step.drop)
        told |= dict.fromkeys(step.announce, at)
        if undone:
            expiry.forget()
            told = {}


@given(keep=keeps, there=st.sets(st.dates(date(2000, 1, 1), date(2100, 1, 1)), max_size=20))
def test_in_the_end_all_expired_days_are_dropped_and_no_others(keep: int, there: set[date]) -> None:
    expiry, today, left = Expiry(keep), date(2100, 1, 1), set(there)
    for look in range(len(there) + 2):
        left -= set(expiry.look(left, today, look * NOTICE_PERIOD).drop)
    assert left == {day for day in there if (today - day).days <= keep}
