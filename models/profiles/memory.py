"""Profiles in memory: as the log has them, and what of decisions in flight will be added."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice, pairwise
from typing import Final

import numpy as np

from models.profiles.events import Events
from models.profiles.flying import Flying
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
        self._in_flight = [Flying() for _ in self._layouts]

    def read(self, events: Events) -> Floats:
        """Return values of transactions, and put these in flight.

        Each one comes after those before it, and after all that is in flight. All are of the same
        five minutes, since 1970, so that windows begin together: see `five_minutes`. The shape is
        (transactions, values), in the order of `Remembering.names`; unknown ones are NaN.
        """
        if not len(events):
            return np.empty((0, len(self._remembering.names)))
        profiles = [*map(Packed, self._contents(events), self._layouts)]
        made = [self._read(side, each, events) for side, each in enumerate(profiles)]
        found: Floats = np.concatenate(made).T
        return found

    def settle(self, events: Events) -> None:
        """Take in transactions that were in flight, and are in the log now."""
        self.apply(events)
        self.release(events)

    def release(self, events: Events) -> None:
        """Let transactions be in flight no longer."""
        for flying, side in zip(self._in_flight, events.sides, strict=True):
            flying.land(events, side)

    def land(self) -> None:
        """Let nothing be in flight any more."""
        for flying in self._in_flight:
            flying.clear()

    def apply(self, events: Events) -> None:
        """Take in transactions that are in the log."""
        self._contents(events)  # before anything changes
        for place, layout in enumerate(self._layouts):
            for start, together in _by_bucket(events, layout.levels.finest):
                self._add(place, start, together)
        self._trim()

    def add_frauds(self, events: Events, changes: Sequence[int]) -> None:
        """Add frauds, or take them back, in the profiles and at the seconds of transactions."""
        self._contents(events)
        for layout, side in zip(self._layouts, events.sides, strict=True):
            if not layout.frauds:
                continue
            for key, second, change in zip(side.keys, events.seconds, changes, strict=True):
                if key is not None and change:
                    profile = unpacked(self._kept[key], layout)
                    profile.add_frauds(int(second), change)
                    self._put({key: packed(profile)}, len(self._kept[key]))

    def _read(self, place: int, profiles: Packed, events: Events) -> Floats:
        side = events.sides[place]
        groups = side.groups
        if not groups.keys:
            return np.full((len(self._remembering.sides[place].values), len(events)), np.nan)
        ahead = self._in_flight[place].take_off(events, side)
        found = self._remembering.read(place, profiles, groups.places, events.seconds, ahead)
        if groups.lacking:
            found[:, groups.lacking] = np.nan
        return found

    def _add(self, place: int, start: int, events: Events) -> None:
        side = events.sides[place]
        keys = side.groups.keys
        if not keys:
            return
        profiles = Packed([*map(self._kept.__getitem__, keys)], self._layouts[place])
        totals = side.groups.totals(events.seconds, events.amounts, side.marks)
        made = profiles.added(start, totals)
        self._put(dict(zip(keys, made, strict=True)), profiles.entries.nbytes)

    def _put(self, profiles: dict[bytes, bytes], before: int) -> None:
        """Keep profiles that had so many bytes `before`."""
        self._bytes += sum(map(len, profiles.values())) - before
        self._kept.update(profiles)
        self.changed.update(profiles)

    def _contents(self, events: Events) -> list[list[bytes]]:
        """Return the profiles of transactions, by side, in the order of `Groups.keys`."""
        kept = self._kept
        found = []
        for side, layout in zip(events.sides, self._layouts, strict=True):
            keys = side.groups.keys
            try:
                found.append([*map(kept.__getitem__, keys)])
            except KeyError:
                self._load_missing(keys, empty(layout))
                found.append([*map(kept.__getitem__, keys)])
        return found

    def _load_missing(self, keys: Sequence[bytes], nothing: bytes) -> None:
        missing = [key for key in keys if key not in self._kept]
        found = [content or nothing for content in self._load(missing)]
        self._kept.update(zip(missing, found, strict=True))
        self._bytes += sum(map(len, found)) + len(found) * _ENTRY_BYTES

    def _trim(self) -> None:
        """Drop the profiles that were loaded first, once there are many."""
        if self._bytes <= self._max_bytes:
            return
        oldest = [*islice(self._kept, len(self._kept) // 2)]
        for key in oldest:
            if key not in self.changed and key not in self._in_flight[key[0] - 1]:
                self._bytes -= len(self._kept.pop(key)) + _ENTRY_BYTES


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
