"""Profiles in memory: as the log has them, and what of decisions in flight will be added.

A decision is in the log some milliseconds after it was made. Until then the transactions that
follow see it, and nothing of it is written: it may never get there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Final, cast

import numpy as np

from models.profiles.events import Ahead, Events, Integers, Keys
from models.profiles.packing import Packed, empty, packed, unpacked
from models.profiles.reading import Floats
from models.profiles.remembering import Remembering
from models.profiles.windows import MINUTES

MAX_BYTES: Final = 64 << 20
"""Bytes of profiles that are kept, at most, beside those that have to be written."""
_ENTRY_BYTES: Final = 200
"""What a profile takes in memory beside its own bytes, about."""

Load = Callable[[Sequence[bytes]], Sequence[bytes | None]]
"""Returns the profiles of keys as they are stored, None where there is none."""


class ProfileMemory:
    """The profiles that were used lately; a store has all others.

    No method waits, so that nothing changes between a read and what follows it. Every method raises
    what the store raises when it loads, or `ValueError` for what is no profile; it has then changed
    nothing.
    """

    def __init__(self, remembering: Remembering, load: Load, max_bytes: int = MAX_BYTES) -> None:
        self.changed: dict[bytes, bytes] = {}
        """Profiles that differ from the store; whoever has written them clears it."""
        self._remembering = remembering
        self._layouts = [side.layout for side in remembering.sides]
        self._load = load
        self._max_bytes = max_bytes
        self._kept: dict[bytes, bytes] = {}
        self._bytes = 0
        self._in_flight: list[dict[bytes, _InFlight]] = [{} for _ in self._layouts]

    def read(self, events: Events) -> Floats:
        """Return values of transactions, and put these in flight.

        Each one comes after those before it, and after all that is in flight. All are of the same
        five minutes, since 1970, so that windows begin together: see `five_minutes`. The shape is
        (transactions, values), in the order of `Remembering.names`; unknown ones are NaN.
        """
        if not len(events):
            return np.empty((0, len(self._remembering.names)))
        self._ensure(events)
        made = [self._read(side, keys, events) for side, keys in enumerate(events.sides)]
        found: Floats = np.concatenate(made).T
        return found

    def settle(self, events: Events) -> None:
        """Take in transactions that were in flight, and are in the log now."""
        self.apply(events)
        self.release(events)

    def release(self, events: Events) -> None:
        """Let transactions be in flight no longer."""
        amounts = events.amounts.tolist()
        for flying, side in zip(self._in_flight, events.sides, strict=True):
            for key, amount in zip(side.keys, amounts, strict=True):
                if key is None or (mine := flying.get(key)) is None:
                    continue
                mine.count -= 1
                mine.amount -= amount
                if not mine.count:
                    del flying[key]

    def land(self) -> None:
        """Let nothing be in flight any more."""
        for flying in self._in_flight:
            flying.clear()

    def apply(self, events: Events) -> None:
        """Take in transactions that are in the log."""
        self._ensure(events)
        for place, layout in enumerate(self._layouts):
            for start, together in _by_bucket(events, layout.levels.finest):
                self._add(place, start, together)
        self._trim()

    def add_frauds(self, events: Events, changes: Sequence[int]) -> None:
        """Add frauds, or take them back, in the profiles and at the seconds of transactions."""
        self._ensure(events)
        for layout, side in zip(self._layouts, events.sides, strict=True):
            if not layout.frauds:
                continue
            for key, second, change in zip(side.keys, events.seconds, changes, strict=True):
                if key is not None and change:
                    profile = unpacked(self._kept[key], layout)
                    profile.add_frauds(int(second), change)
                    self._put({key: packed(profile)}, len(self._kept[key]))

    def _read(self, side: int, keys: Keys, events: Events) -> Floats:
        layout, wanted = self._layouts[side], _Grouped(keys.keys)
        if not wanted.keys:
            return np.full((len(self._remembering.sides[side].values), len(events)), np.nan)
        profiles = Packed([self._kept[key] for key in wanted.keys], layout)
        ahead = self._passing(side, keys, events)
        found = self._remembering.read(side, profiles, wanted.places, events.seconds, ahead)
        if wanted.lacking:
            found[:, wanted.lacking] = np.nan
        return found

    def _passing(self, side: int, keys: Keys, events: Events) -> Ahead:
        """Put transactions in flight; returns what was in flight before each."""
        flying, many = self._in_flight[side], len(keys.keys)
        count, amount, last = np.zeros((3, many), np.int64)
        ahead = Ahead(count, amount, last, [np.zeros(many, np.uint64) for _ in keys.marks])
        marks = [each.tolist() for each in keys.marks]
        given = zip(keys.keys, events.amounts.tolist(), events.seconds.tolist(), strict=True)
        for place, (key, units, second) in enumerate(given):
            if key is None:
                continue
            if (mine := flying.get(key)) is None:
                flying[key] = _InFlight(units, second, [each[place] for each in marks])
                continue
            count[place], amount[place], last[place] = mine.count, mine.amount, mine.last
            mine.count += 1
            mine.amount += units
            mine.last = max(mine.last, second)
            for number, each in enumerate(marks):
                ahead.marks[number][place] = mine.marks[number]
                mine.marks[number] |= each[place]
        return ahead

    def _add(self, place: int, start: int, events: Events) -> None:
        keys, marks = events.sides[place]
        wanted = _Grouped(keys)
        if not wanted.keys:
            return
        known = wanted.known
        at, many = wanted.places[known], len(wanted.keys)
        count = np.bincount(at, minlength=many)
        amount, second = np.zeros(many, np.int64), np.zeros(many, np.int64)
        np.add.at(amount, at, events.amounts[known])
        np.maximum.at(second, at, events.seconds[known])
        bits = []
        for each in marks:
            column = np.zeros(many, np.uint64)
            np.bitwise_or.at(column, at, each[known])
            bits.append(column)
        profiles = Packed([self._kept[key] for key in wanted.keys], self._layouts[place])
        made = profiles.added(start, second, count, amount, bits)
        self._put(dict(zip(wanted.keys, made, strict=True)), profiles.entries.nbytes)

    def _put(self, profiles: dict[bytes, bytes], before: int) -> None:
        """Keep profiles that had so many bytes `before`."""
        self._bytes += sum(map(len, profiles.values())) - before
        self._kept.update(profiles)
        self.changed.update(profiles)

    def _ensure(self, events: Events) -> None:
        """Load the profiles of transactions, unless they are here."""
        kept = self._kept
        for side, layout in zip(events.sides, self._layouts, strict=True):
            missing = dict.fromkeys([key for key in side.keys if key not in kept])
            missing.pop(None, None)
            if not missing:
                continue
            wanted, nothing = cast("list[bytes]", [*missing]), empty(layout)
            found = [content or nothing for content in self._load(wanted)]
            kept.update(zip(wanted, found, strict=True))
            self._bytes += sum(map(len, found)) + len(found) * _ENTRY_BYTES

    def _trim(self) -> None:
        """Drop the profiles that were loaded first, once there are many."""
        if self._bytes <= self._max_bytes:
            return
        oldest = [*islice(self._kept, len(self._kept) // 2)]
        for key in oldest:
            if key not in self.changed and key not in self._in_flight[key[0] - 1]:
                self._bytes -= len(self._kept.pop(key)) + _ENTRY_BYTES


class _InFlight:
    """The transactions of one profile that are in flight."""

    __slots__ = ("amount", "count", "last", "marks")

    def __init__(self, amount: int, last: int, marks: list[int]) -> None:
        self.count = 1
        self.amount = amount
        self.last = last
        self.marks = marks
        """Bits of some that are in flight no longer may be left, until none is."""


class _Grouped:
    """Different keys, and which of them each transaction has."""

    def __init__(self, keys: Sequence[bytes | None]) -> None:
        numbers: dict[bytes | None, int] = {}
        number = numbers.setdefault
        places = [number(key, len(numbers)) for key in keys]
        self.places: Integers = np.array(places, np.int64)
        self.lacking: list[int] = []
        """Transactions without a key; their place says nothing."""
        if None in numbers:
            self.lacking = [at for at, key in enumerate(keys) if key is None]
            kept = [key for key in numbers if key is not None]
            order = {key: at for at, key in enumerate(kept)}
            self.places = np.array([order[key] if key else 0 for key in keys], np.int64)
            self.keys = kept
        else:
            self.keys = [key for key in numbers if key is not None]

    @property
    def known(self) -> Integers | slice:
        """The transactions that have a key."""
        if not self.lacking:
            return slice(None)
        return np.setdiff1d(np.arange(len(self.places)), self.lacking)


def five_minutes(events: Events) -> Iterator[Events]:
    """Yield transactions in runs that `ProfileMemory.read` takes."""
    return (run for _, run in _by_bucket(events, MINUTES))


def _by_bucket(events: Events, width: int) -> Iterator[tuple[int, Events]]:
    """Yield runs of transactions whose bucket begins at one second, with that second."""
    starts = events.seconds - events.seconds % width
    edges = [0, *(np.flatnonzero(np.diff(starts)) + 1).tolist(), len(events)]
    for begin, end in pairwise(edges):
        if begin < end:
            run = events if end - begin == len(events) else events.at(slice(begin, end))
            yield int(starts[begin]), run
