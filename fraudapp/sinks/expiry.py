"""Which days have expired, and which of them may be dropped now, by clocks that callers pass in.

A dropped day is gone for good, and no single clock is worth that much trust. So two clocks have to
agree, an expired day is announced first and dropped at a later look, and one look drops little: if
all clocks are wrong, each day is still warned of before it goes.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import takewhile
from typing import Final, NamedTuple

from models.errors import NeedsOperator

MAX_CLOCK_DIFFERENCE: Final = timedelta(minutes=10)
"""Difference between two clocks, at most, with which a day may be dropped."""
MAX_DAYS_PER_LOOK: Final = 2
"""Days that one look drops, at most."""
NOTICE_PERIOD: Final = 540.0
"""Seconds between the announcement that a day will be dropped and the drop, at least."""


class ClocksDisagree(NeedsOperator):
    """The clocks differ too much to say what has expired; the message has both times."""


def agreed_day(here: datetime, there: datetime) -> date:
    """Return the UTC day it is by both clocks, the earlier one; raises `ClocksDisagree`."""
    if abs(here - there) > MAX_CLOCK_DIFFERENCE:
        raise ClocksDisagree(
            f"it is {here:%Y-%m-%d %H:%M:%S} (UTC) by the clock of this worker, and "
            f"{there:%Y-%m-%d %H:%M:%S} by that of the database; set the one that is wrong"
        )
    return min(here, there).date()


class Step(NamedTuple):
    """The result of one look at a sink."""

    due: list[date]
    """All days that have expired."""
    drop: list[date]
    """Days to be dropped now: the earliest of the sink, so that none is left before them."""
    announce: list[date]
    """Days to be announced now: they are dropped next."""


class Expiry:
    """The retention of one sink, which keeps `keep_days` days besides today."""

    def __init__(self, keep_days: int) -> None:
        self.keep_days = keep_days
        self._announced: dict[date, float] = {}

    def look(self, days: Iterable[date], today: date, at: float) -> Step:
        """Return what to drop and to announce of `days`; `at` is in seconds on any steady clock."""
        due = sorted(day for day in set(days) if (today - day).days > self.keep_days)
        notified = {day for day, since in self._announced.items() if at - since >= NOTICE_PERIOD}
        drop = list(takewhile(notified.__contains__, due[:MAX_DAYS_PER_LOOK]))
        upcoming = due[len(drop) :][:MAX_DAYS_PER_LOOK]
        announce = [day for day in upcoming if day not in self._announced]
        self._announced = {day: self._announced.get(day, at) for day in upcoming}
        return Step(due, drop, announce)

    def forget(self) -> None:
        """Take back all announcements: a day has to be announced again before it is dropped."""
        self._announced = {}
