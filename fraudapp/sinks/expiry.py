"""Which days have expired, and which of them may go now: decided from times that are passed in.

What is dropped is gone, and no clock is worth that much trust. So two have to agree, what is due is
announced and goes at a later look, and little goes at one look: if all clocks are wrong, somebody
has days to read about it.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import takewhile
from typing import Final, NamedTuple

from models.errors import NeedsOperator

AGREEMENT: Final = timedelta(minutes=10)
"""Most that two clocks may differ while anything is dropped."""
AT_ONCE: Final = 2
"""Days that are dropped at one look, at most."""
NOTICE: Final = 540.0
"""Seconds from the announcement of a day to its end, at least."""


class ClocksDisagree(NeedsOperator):
    """Nothing can be said to have expired; the message has both times."""


def agreed_day(here: datetime, there: datetime) -> date:
    """Return the UTC day it is by both clocks, the earlier one; raises `ClocksDisagree`."""
    if abs(here - there) > AGREEMENT:
        raise ClocksDisagree(
            f"it is {here:%Y-%m-%d %H:%M:%S} (UTC) by the clock of this worker, and "
            f"{there:%Y-%m-%d %H:%M:%S} by that of the database; set the one that is wrong"
        )
    return min(here, there).date()


class Step(NamedTuple):
    """What a look at a sink comes to."""

    due: list[date]
    """All days that have expired."""
    drop: list[date]
    """Those to be dropped now; there are no days before the last of them but these."""
    announce: list[date]
    """Those to be told of now: they are next."""


class Expiry:
    """The looks at one sink, which keeps so many days besides today."""

    def __init__(self, keep_days: int) -> None:
        self.keep_days = keep_days
        self._announced: dict[date, float] = {}

    def look(self, days: Iterable[date], today: date, at: float) -> Step:
        """Return what to do about the days there are; `at` is in seconds on any steady clock."""
        due = sorted(day for day in set(days) if (today - day).days > self.keep_days)
        ripe = {day for day, told in self._announced.items() if at - told >= NOTICE}
        drop = list(takewhile(ripe.__contains__, due[:AT_ONCE]))
        coming = due[len(drop) :][:AT_ONCE]
        announce = [day for day in coming if day not in self._announced]
        self._announced = {day: self._announced.get(day, at) for day in coming}
        return Step(due, drop, announce)

    def forget(self) -> None:
        """Take back what was announced: it begins anew."""
        self._announced = {}
