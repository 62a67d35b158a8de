"""The entries of all lists, as of an offset of the control log and a moment."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, timezone
from heapq import heapify, heappop, heappush
from typing import Final

MAX_ENTRIES: Final = 2_000_000
"""Of all lists together.

Each takes about 100 bytes of memory, one that expires 230, and one that does so by itself 600.
"""
_SPARE: Final = 1_000
"""Moments noted in excess of those at which something expires, before they are noted anew."""
_Moment = tuple[int, str]
"""Microseconds since 1970, and the name of a list."""
_NONE: Final[dict[str, int]] = {}
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_MICROSECOND: Final = timedelta(microseconds=1)


class Lists:
    """Sets of entries by the name of the list, which change in place."""

    def __init__(self) -> None:
        self.refused = 0
        """How many entries were left out, because there were `MAX_ENTRIES` already."""
        self._present: dict[str, set[str]] = {}
        self._expiries: dict[str, dict[str, int]] = {}
        # What expires at one moment does so at once, since many entries are added together.
        self._together: dict[_Moment, set[str]] = {}
        # Those moments: later than `_now`, the first one first, and up to `_now`, with the time
        # negated, the last one first. A moment may be there several times, or without entries.
        self._due: list[_Moment] = []
        self._gone: list[_Moment] = []
        self._now = _micros(datetime.min.replace(tzinfo=timezone.utc))
        self._next_offsets: dict[str, int] = {}
        self._entries = 0

    def __len__(self) -> int:
        """Return the number of entries of all lists, expired ones too."""
        return self._entries

    def sizes(self) -> dict[str, int]:
        """Return the number of entries of each list that were there at the last moment asked."""
        return {name: len(entries) for name, entries in self._present.items()}

    def add(self, name: str, value: str, expires_at: datetime | None, offset: int) -> None:
        """Add an entry, or let it expire at another time."""
        present = self._present.get(name)
        if present is None:
            present = self._present[name] = set()
        if not self._keep(name, value) and value not in present:
            if self._entries >= MAX_ENTRIES:
                self.refused += 1
                return
            self._entries += 1
        self._next_offsets[name] = offset + 1
        if expires_at is None:
            present.add(value)
        else:
            self._expire(name, value, _micros(expires_at))

    def remove(self, name: str, value: str, offset: int) -> None:
        """Remove an entry, if it is there."""
        self._next_offsets[name] = offset + 1
        present = self._present.get(name) or set[str]()
        self._entries -= self._keep(name, value) or value in present
        present.discard(value)

    def at(self, now: datetime) -> Mapping[str, set[str]]:
        """Return the entries that are there at a moment; it may be before that of the last call.

        What is returned changes with the next call of any method.
        """
        before, self._now = self._now, _micros(now)
        if self._now > before:
            while self._due and self._due[0][0] <= self._now:
                self._place(*heappop(self._due))
        else:
            while self._gone and -self._gone[0][0] > self._now:
                time, name = heappop(self._gone)
                self._place(-time, name)
        return self._present

    def holds(self, name: str, value: str, now: datetime) -> bool:
        """Whether an entry is there at a moment; unlike `at`, nothing is moved for it."""
        if (time := self._expiries.get(name, _NONE).get(value)) is not None:
            return _micros(now) < time
        return value in self._present.get(name, ())

    def next_offset(self, names: Iterable[str]) -> int:
        """Return the offset after the last record about one of these lists; 0 if there is none."""
        return max((self._next_offsets.get(each, 0) for each in names), default=0)

    def _expire(self, name: str, value: str, time: int) -> None:
        self._expiries.setdefault(name, {})[value] = time
        together = self._together.get((time, name))
        if together is None:
            self._together[time, name] = {value}
            self._place(time, name)
            if len(self._due) + len(self._gone) > 2 * len(self._together) + _SPARE:
                self._note_anew()
        else:
            together.add(value)
            (set.add if time > self._now else set.discard)(self._present[name], value)

    def _keep(self, name: str, value: str) -> bool:
        """Let an entry not expire any more, whether it did or not; return whether it was to."""
        time = self._expiries.get(name, _NONE).pop(value, None)
        if time is None:
            return False
        together = self._together[time, name]
        together.discard(value)
        if not together:
            del self._together[time, name]
        return True

    def _place(self, time: int, name: str) -> None:
        """Let entries be there or not, by the moment at which they expire."""
        if (together := self._together.get((time, name))) is None:
            return
        if time > self._now:
            self._present[name].update(together)
            heappush(self._due, (time, name))
        else:
            self._present[name].difference_update(together)
            heappush(self._gone, (-time, name))

    def _note_anew(self) -> None:
        """Note each moment once."""
        self._due = [(time, name) for time, name in self._together if time > self._now]
        self._gone = [(-time, name) for time, name in self._together if time <= self._now]
        heapify(self._due)
        heapify(self._gone)


def _micros(moment: datetime) -> int:
    """Return whole microseconds since 1970, of any time with any offset."""
    return (moment - _EPOCH) // _MICROSECOND
