"""Removes what is in no window any more from the disk, some at a time.

It changes no value. A profile whose last transaction is older than all windows reads like one that
never was; of another one, the buckets that are older go, which are else dropped only once it has
many. A label on an older transaction, if it is read again, moves counts that are in no window.
"""

from __future__ import annotations

from typing import Final

from fraudapp.labels.database import DatabaseDamaged
from fraudapp.process.disk import DiskFull
from fraudapp.profiles import metrics
from fraudapp.profiles.store import SIDES, Entry, ProfileStore
from models.profiles.packing import entry, packed, unpacked
from models.profiles.profile import Layout
from models.profiles.remembering import Remembering
from models.profiles.windows import DAY

SLICE: Final = 1_000
"""Entries that are looked at without a pause: a millisecond or two."""
MERGED: Final = 50
"""Profiles of which buckets are dropped without a pause: some milliseconds."""
PAUSE: Final = 0.25
"""Seconds between two slices, at least."""
INTERVAL: Final = 6 * 3_600.0
"""Seconds between the beginnings of two passes over all entries, at least.

A pass goes by the time at which the one before began, or by its own if that is earlier. So a clock
that is wrong for less than an interval removes nothing.
"""
SPARED: Final = 7 * DAY
"""Seconds for which buckets stay beyond all windows, so that profiles are not rewritten daily."""


class Sweep:
    """Passes over a store, slice by slice."""

    def __init__(self, remembering: Remembering, store: ProfileStore) -> None:
        self._layouts = [side.layout for side in remembering.sides]
        self._store = store
        self._next: bytes | None = None  # None between two passes
        self._noted: float | None = None
        self._second = 0
        self._sliced_at = self._began_at = float("-inf")

    def step(self, now: float, at: float) -> None:
        """Look at the next slice, if it is time; raises what reading and writing the store does.

        `now` is in seconds since 1970, `at` in seconds on any steady clock.
        """
        if at - self._sliced_at < PAUSE or not self._has_begun(now, at):
            return
        self._sliced_at = at
        found = self._store.entries(self._next or SIDES, SLICE)
        kept = [each.levels.begins(self._second).kept for each in self._layouts]
        oldest: dict[int | None, int] = {**dict(enumerate(kept)), None: min(kept)}
        over, merged, following = list[bytes](), dict[bytes, bytes](), None
        for each in found:
            if len(merged) == MERGED:
                following = each.key
                break
            if each.second < oldest.get(each.side, 0):
                over.append(each.key)
            elif each.side is not None and each.side < len(self._layouts):
                self._merge(each, self._layouts[each.side], merged)
        else:
            following = found[-1].key + b"\x00" if len(found) == SLICE else None
        try:
            self._store.tidy(over, merged)
        except DiskFull as exc:
            if not exc.heals:
                raise
            return  # the slice is looked at again
        metrics.removed.inc(len(over))
        self._next = following

    def _merge(self, each: Entry, layout: Layout, merged: dict[bytes, bytes]) -> None:
        size = entry(layout).itemsize
        first = int.from_bytes(each.value[size : size + 4], "little")
        if len(each.value) <= size or first >= layout.levels.begins(each.second).kept - SPARED:
            return
        try:
            profile = unpacked(each.value, layout)
        except ValueError as exc:
            raise DatabaseDamaged(self._store.folder, exc) from exc
        profile.merge()
        merged[each.key] = packed(profile)

    def _has_begun(self, now: float, at: float) -> bool:
        """Whether a pass is going on, or begins now."""
        if self._next is not None:
            return True
        if at - self._began_at < INTERVAL:
            return False
        before, self._noted, self._began_at = self._noted, now, at
        self._second = 0 if before is None else int(min(before, now))
        return before is not None
