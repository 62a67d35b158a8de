"""Profiles as bytes, and many of them at once as columns.

A profile is an array of buckets. Before the first one is an entry without any transactions, so that
every total has one before it; in the place of its time it has the second of the last transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.profiles.groups import Integers, Totals
from models.profiles.profile import MAX_SUM, MERGED, Layout, Profile

_ENTRY: Final = [("time", "<u4"), ("count", "<u4"), ("sum", "<i8"), ("frauds", "<i4")]


@lru_cache(64)
def entry(layout: Layout) -> np.dtype[Any]:
    """Return the type of an entry: little-endian, whatever the machine."""
    used = {"sum": layout.sums, "frauds": layout.frauds}
    kept = [each for each in _ENTRY if used.get(each[0], True)]
    return np.dtype([*kept, *((f"mark{place}", "<u8") for place in range(layout.marks))])


@lru_cache(64)
def empty(layout: Layout) -> bytes:
    """Return a profile without transactions."""
    return np.zeros(1, entry(layout)).tobytes()


def packed(profile: Profile) -> bytes:
    """Return a profile as bytes; equal ones that are merged have equal bytes."""
    made = np.zeros(1 + len(profile.times), entry(profile.layout))
    made["time"][0] = profile.last
    made["time"][1:] = profile.times
    made["count"][1:] = profile.counts
    if profile.layout.sums:
        made["sum"][1:] = profile.sums
    if profile.layout.frauds:
        made["frauds"][1:] = profile.frauds
    for place, column in enumerate(profile.marks):
        made[f"mark{place}"][1:] = np.array(column, np.uint64)
    return made.tobytes()


def unpacked(content: bytes, layout: Layout) -> Profile:
    """Return what `packed` has made; raises `ValueError` for other bytes."""
    found = np.frombuffer(content, entry(layout))
    if not len(found):
        raise ValueError("a profile has no entries")
    profile, rest = Profile(layout), found[1:]
    profile.last = int(found["time"][0])
    profile.times, profile.counts = rest["time"].tolist(), rest["count"].tolist()
    profile.sums = rest["sum"].tolist() if layout.sums else [0] * len(rest)
    profile.frauds = rest["frauds"].tolist() if layout.frauds else [0] * len(rest)
    profile.marks = [rest[f"mark{place}"].tolist() for place in range(layout.marks)]
    return profile


class Packed:
    """Several profiles of one side, one after the other in memory."""

    def __init__(self, contents: Sequence[bytes], layout: Layout) -> None:
        """Raises `ValueError` for bytes that are no profile."""
        self.layout = layout
        self.entries = np.frombuffer(b"".join(contents), entry(layout))
        size = self.entries.dtype.itemsize
        self.lengths: Integers = np.fromiter(map(len, contents), np.int64, len(contents)) // size
        self.ends: Integers = np.cumsum(self.lengths)
        """Where the next profile begins."""
        self.begins: Integers = self.ends - self.lengths
        times = self.entries["time"].astype(np.int64)
        self.last: Integers = times[self.begins]
        times[self.begins] = 0
        self.times: Integers = times
        """Of each bucket; 0 for the entry before the first one."""

    def before(self, second: int) -> Integers:
        """Return, for each profile, the last entry whose bucket begins before a second."""
        since = np.add.reduceat(self.times >= second, self.begins, dtype=np.int64)
        return self.ends - since - 1

    def bits(self, mark: int, begin: int) -> NDArray[np.uint64]:
        """Return the bits that are set in all buckets that begin at a second or later."""
        column = self.entries[f"mark{mark}"]
        wanted = np.where(self.times >= begin, column, np.uint64(0))
        return np.bitwise_or.reduceat(wanted, self.begins).astype(np.uint64)

    def added(self, start: int, totals: Totals) -> list[bytes]:
        """Return the profiles with transactions added whose bucket begins at `start`."""
        count, amount, second, marks = totals
        newest = self.times[self.ends - 1]
        appended = newest < start
        shift = np.cumsum(appended)
        made = np.empty(len(self.entries) + int(shift[-1]), self.entries.dtype)
        made[np.arange(len(self.entries)) + np.repeat(shift - appended, self.lengths)] = (
            self.entries
        )
        ends, begins = self.ends + shift, self.begins + shift - appended
        at = ends - 1
        made[at[appended]] = made[at[appended] - 1]
        made["time"][at[appended]] = start
        made["time"][begins] = np.maximum(self.last, second)
        made["count"][at] += count.astype(np.uint32)
        if self.layout.sums:
            made["sum"][at] = np.clip(made["sum"][at] + amount, -MAX_SUM, MAX_SUM)
        for place, bits in enumerate(marks):
            column = made[f"mark{place}"]
            column[at] = np.where(appended, bits, column[at] | bits)
        size, whole = made.dtype.itemsize, made.tobytes()
        found = [
            whole[begin * size : end * size]
            for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)
        ]
        for late in np.flatnonzero(newest > start).tolist():
            profile = self._one(late)
            bits_of = tuple(int(each[late]) for each in marks)
            profile.add(int(second[late]), int(count[late]), int(amount[late]), bits_of)
            found[late] = packed(profile)
        for large in np.flatnonzero(ends - begins > _limit(self.layout)).tolist():
            profile = unpacked(found[large], self.layout)
            profile.merge()
            found[large] = packed(profile)
        return found

    def _one(self, place: int) -> Profile:
        content = self.entries[self.begins[place] : self.ends[place]].tobytes()
        return unpacked(content, self.layout)


@lru_cache(64)
def _limit(layout: Layout) -> int:
    """Return from how many entries on profiles are merged: half of them go then, as a rule."""
    levels = layout.levels
    most = levels.kept // 86_400 + 2
    if levels.finest < 86_400:
        most += 72
    if levels.finest < 3_600:
        most += 36
    return max(MERGED, most * 3 // 2)
