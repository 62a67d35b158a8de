"""A period is told as people tell it, and what does not fit is refused."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from fraudapp.backtests.period import MARGIN, Period, moment

NOW = datetime(2026, 3, 8, 12, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7d", NOW - timedelta(days=7)),
        (" 12h", NOW - timedelta(hours=12)),
        ("2w", NOW - timedelta(weeks=2)),
        ("2026-03-01", datetime(2026, 3, 1, tzinfo=timezone.utc)),
        ("2026-03-01T08:00", datetime(2026, 3, 1, 8, tzinfo=timezone.utc)),
        ("2026-03-01T08:00:00Z", datetime(2026, 3, 1, 8, tzinfo=timezone.utc)),
        ("2026-03-01T08:00:00+02:00", datetime(2026, 3, 1, 6, tzinfo=timezone.utc)),
    ],
)
def test_a_moment_is_read(text: str, expected: datetime) -> None:
    assert moment(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "7", "yesterday", "2026-13-01", "999999w", "-3d"])
def test_what_is_no_moment_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="write 7d, 12h, 2026-03-31"):
        moment(text, NOW)


def test_more_is_read_than_the_period() -> None:
    period = Period(NOW, NOW + timedelta(days=1))
    assert period.read_since == NOW - MARGIN
    assert period.read_until == period.until + MARGIN
    assert (period.has_begin, period.has_end) == (True, True)


def test_without_bounds_there_is_all() -> None:
    period = Period()
    assert (period.has_begin, period.has_end, str(period)) == (False, False, "")
    assert (period.read_since, period.read_until) == period
