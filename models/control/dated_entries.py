"""The entries of one list, as they were at any offset of the control log and at any moment."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Collection
from datetime import datetime, timezone
from typing import Final

_FOR_EVER: Final = datetime.max.replace(tzinfo=timezone.utc)
_ABSENT: Final = datetime.min.replace(tzinfo=timezone.utc)
"""The end of an entry that is not there: it is before every moment."""


class DatedEntries:
    """A set that is moved along the log and along time, in both directions.

    A move costs as much as there are changes in between. Moves along the log undo each change by
    the end that an entry had before it. Moves along time look at the entries that end in between.
    """

    def __init__(self) -> None:
        self._present: set[str] = set()  # at the offset and the moment of the last move
        self._ends: dict[str, datetime] = {}  # by entry, of those that end ever
        self._offsets = array("q")
        self._changed: list[str] = []
        self._before: list[datetime] = []
        self._after: list[datetime] = []
        self._place = 0  # in the changes: all before it are made
        self._now = _ABSENT
        # All ends that any entry ever had, with the entry; in order unless `_is_unsorted`.
        self._ending: list[tuple[datetime, str]] = []
        self._is_unsorted = False

    def __contains__(self, entry: str) -> bool:
        """Whether it is there by all that was said, expired or not."""
        self._move_to(len(self._changed))
        return entry in self._present or entry in self._ends

    def add(self, entry: str, expires_at: datetime | None, offset: int) -> bool:
        """Add an entry, or let it end at another moment; return whether it was not there."""
        end = _FOR_EVER if expires_at is None else expires_at
        if expires_at is not None:
            self._ending.append((end, entry))
            self._is_unsorted = True
        return self._change(entry, end, offset) is _ABSENT

    def remove(self, entry: str, offset: int) -> bool:
        """Remove an entry; return whether it was there."""
        return self._change(entry, _ABSENT, offset) is not _ABSENT

    def at(self, offset: int | None, now: datetime) -> Collection[str]:
        """Return the entries at a moment, by all changes before an offset; by all for None."""
        changes = len(self._changed)
        self._move_to(changes if offset is None else bisect_left(self._offsets, offset))
        if now != self._now:
            self._pass_to(now)
        return self._present

    def expiries(self) -> Collection[datetime]:
        """Return all moments at which an entry may end."""
        return {end for end, _ in self._ending}

    def _change(self, entry: str, end: datetime, offset: int) -> datetime:
        self._move_to(len(self._changed))
        before = self._ends.get(entry, _FOR_EVER if entry in self._present else _ABSENT)
        self._offsets.append(offset)
        self._changed.append(entry)
        self._before.append(before)
        self._after.append(end)
        self._move_to(len(self._changed))
        return before

    def _move_to(self, place: int) -> None:
        for each in range(self._place, place):
            self._set(self._changed[each], self._after[each])
        for each in range(self._place - 1, place - 1, -1):
            self._set(self._changed[each], self._before[each])
        self._place = place

    def _set(self, entry: str, end: datetime) -> None:
        if end is _FOR_EVER or end is _ABSENT:
            self._ends.pop(entry, None)
        else:
            self._ends[entry] = end
        if end is _FOR_EVER or end > self._now:
            self._present.add(entry)
        else:
            self._present.discard(entry)

    def _pass_to(self, now: datetime) -> None:
        if self._is_unsorted:
            self._ending.sort()
            self._is_unsorted = False
        then, place = self._until(self._now), self._until(now)
        for end, entry in self._ending[then:place]:
            if self._ends.get(entry) == end:
                self._present.discard(entry)
        for end, entry in self._ending[place:then]:
            if self._ends.get(entry) == end:
                self._present.add(entry)
        self._now = now

    def _until(self, now: datetime) -> int:
        return bisect_right(self._ending, now, key=lambda each: each[0])
