"""Windows of time, and the buckets that they are made of.

Buckets are 5 minutes wide for an hour, an hour for a day, and a day beyond. A window covers whole
buckets: all that overlap it, so that it is up to one bucket longer than its name says.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

MINUTES: Final = 300
"""Seconds of the narrowest buckets."""
HOUR: Final = 3_600
DAY: Final = 86_400
MAX_DAYS: Final = 90
"""The longest window, with its delay."""
_UNITS: Final = {"m": 60, "h": HOUR, "d": DAY}
_DURATION: Final = re.compile(r"([1-9][0-9]{0,4})([mhd])")


class Window(NamedTuple):
    """A span of time before a moment, in seconds."""

    length: int
    delay: int = 0
    """How long before the moment it ends."""

    @property
    def span(self) -> int:
        """Seconds from its begin to the moment."""
        return self.length + self.delay

    @property
    def width(self) -> int:
        """Seconds of the buckets that it is made of."""
        if self.span <= HOUR:
            return MINUTES
        return HOUR if self.span <= DAY else DAY


class Begins(NamedTuple):
    """The seconds at which buckets of a profile begin, by what its windows are made of."""

    narrow: int
    """From here on, buckets are as narrow as any."""
    hours: int
    """From here on, they are an hour wide at most; a day before."""
    kept: int
    """What begins before is in no window."""


class Levels(NamedTuple):
    """Which buckets a profile keeps: those that its windows are made of."""

    finest: int
    """Seconds of its narrowest buckets."""
    kept: int
    """Seconds for which buckets are kept, in whole days."""

    def begins(self, last: int) -> Begins:
        """Return where buckets begin that windows tell apart, at the second of the last event.

        They reach an hour, or a day, further back than windows at that second do: a worker whose
        clock is behind by less than an hour reads the same whether buckets were merged or not.
        """
        return Begins(
            (last - 2 * HOUR) // HOUR * HOUR,
            (last - 2 * DAY) // DAY * DAY,
            (last - self.kept - DAY) // DAY * DAY,
        )


def levels(windows: list[Window]) -> Levels:
    """Return the levels that windows need; without any, whole days for 30 days."""
    finest = min((each.width for each in windows), default=DAY)
    longest = max((each.span for each in windows), default=30 * DAY)
    return Levels(finest, -(-longest // DAY) * DAY)


def duration(text: str) -> int | None:
    """Return the seconds of a text such as 5m, 1h or 30d; None if it is none."""
    match = _DURATION.fullmatch(text)
    return int(match[1]) * _UNITS[match[2]] if match else None


def problem(window: Window) -> str | None:
    """Return why buckets cannot make a window; None if they can."""
    if window.span > MAX_DAYS * DAY:
        return f"reaches further back than {MAX_DAYS}d"
    width = window.width
    if window.length % width or window.delay % width:
        of = {MINUTES: "5m", HOUR: "1h", DAY: "1d"}[width]
        return f"must be whole multiples of {of}, the buckets of a span this long"
    return None
