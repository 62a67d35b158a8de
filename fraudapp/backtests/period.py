"""The period of time whose decisions a backtest is about."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from typing import Final, NamedTuple

MARGIN: Final = timedelta(hours=1)
"""How long a decision may take to get into the log, by the clocks of workers and brokers.

So much more is read before a period and after it: what was decided in it counts by its own time,
and a second decision under an id is told from the first.
"""
_AGO: Final = re.compile(r"(\d{1,6})\s*([smhdw])")
_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_FIRST: Final = datetime.min.replace(tzinfo=timezone.utc)
_LAST: Final = datetime.max.replace(tzinfo=timezone.utc)


class Period(NamedTuple):
    """From one moment up to, not including, another one (UTC); without bounds, all."""

    since: datetime = _FIRST
    until: datetime = _LAST

    @property
    def read_since(self) -> datetime:
        """The moment from which on decisions have to be read."""
        return self.since - MARGIN if self.since > _FIRST + MARGIN else _FIRST

    @property
    def read_until(self) -> datetime:
        """The moment up to which they have to be read where they are in the order of the log."""
        return self.until + MARGIN if self.until < _LAST - MARGIN else _LAST

    @property
    def has_begin(self) -> bool:
        """Whether anything may be before it."""
        return self.since > _FIRST

    @property
    def has_end(self) -> bool:
        """Whether anything may be after it."""
        return self.until < _LAST

    def __str__(self) -> str:
        since = f" from {self.since.isoformat()}" if self.has_begin else ""
        return since + (f" up to {self.until.isoformat()}" if self.has_end else "")


def moment(text: str, now: datetime) -> datetime:
    """Return the moment that a text means: `7d` or `12h` ago, a date, or an ISO 8601 time (UTC).

    Raises `ValueError`.
    """
    written = text.strip()
    try:
        if match := _AGO.fullmatch(written):
            return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
        # Before Python 3.11, a Z is not read.
        found = datetime.fromisoformat(re.sub("[zZ]$", "+00:00", written))
        return (found if found.tzinfo else found.replace(tzinfo=timezone.utc)).astimezone(
            timezone.utc
        )
    except (ValueError, OverflowError):
        raise ValueError(
            f"{text!r:.60} is no time: write 7d, 12h, 2026-03-31 or 2026-03-31T08:00:00Z"
        ) from None
