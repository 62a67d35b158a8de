"""Weeks of decisions: from Monday to Sunday, in UTC."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Final

DAYS: Final = 7
DAY_SECONDS: Final = 86_400
_FIRST_MONDAY: Final = date(1969, 12, 29)
_BEFORE_1970: Final = 3
"""Days of the first week that are before 1970."""


def week_of(moment: datetime) -> tuple[int, int]:
    """Return the number of a moment's week, 0 for that of 1970-01-01, and of its day, 0..6."""
    return divmod(int(moment.timestamp() // DAY_SECONDS) + _BEFORE_1970, DAYS)


def name_of(week: int) -> str:
    """Return the Monday of a week, as ISO 8601 writes it."""
    return (_FIRST_MONDAY + timedelta(weeks=week)).isoformat()


def week_at(now: float) -> int:
    """Return the number of the week of a time in seconds since 1970."""
    return (int(now // DAY_SECONDS) + _BEFORE_1970) // DAYS


def end_of_day(week: int, day: int) -> int:
    """Return when a day of a week ends, in seconds since 1970."""
    return (week * DAYS + day - _BEFORE_1970 + 1) * DAY_SECONDS
