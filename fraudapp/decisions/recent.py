"""Where in the decision log those ids are that were heard of, in sixteen bytes each."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import numpy as np

from models.errors import Retryable

_LONG: Final = "q"  # 64 bits, signed


class Unknowable(Retryable):
    """Whether a transaction was decided cannot be told now, only later; the message says why."""


class RecentDecisions:
    """The ids of all records of one partition from offset `start` up to, not including, `end`.

    What comes before `start` is told by the history, once it has the partition so far.
    """

    def __init__(self, start: int, most: int) -> None:
        """`most` is how many ids are remembered, before the oldest are forgotten."""
        self.start = start
        self.end = start
        self.stored = 0
        """Offset up to which the history has the partition, as far as was told."""
        self._most = most
        self._offsets = array(_LONG)
        self._hashes = array(_LONG)

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, keys: Sequence[bytes | None], offsets: Sequence[int]) -> None:
        """Take in the next records, in their order.

        If they are not the next, some were missed, or the log has become another one: then all
        before is forgotten.
        """
        if not offsets:
            return
        if offsets[0] != self.end:
            if offsets[0] < self.end:
                self.stored = 0
            self.restart(offsets[0])
        self._hashes.extend(map(hash, keys))
        self._offsets.extend(offsets)
        self.end = offsets[-1] + 1
        if len(self) > self._most:  # by more than one, since that moves all the others
            self.forget(self._offsets[len(self) - self._most * 3 // 4])

    def restart(self, start: int) -> None:
        """Forget everything; what comes next is at this offset."""
        self.start = self.end = start
        del self._offsets[:], self._hashes[:]

    def keep(self, stored: int) -> None:
        """Forget what the history has: all up to this offset, which may be less than before."""
        self.stored = stored
        self.forget(min(stored, self.end))

    def forget(self, upto: int) -> None:
        """Forget what is before this offset, whoever else may know of it."""
        if upto > self.start:
            self.start = upto
            count = bisect_left(self._offsets, upto)
            del self._offsets[:count], self._hashes[:count]

    def find(self, key: bytes) -> list[int]:
        """Return the offsets at which this id may be: others can have the same hash."""
        if not self._hashes:
            return []
        places = np.flatnonzero(np.frombuffer(self._hashes, np.int64) == hash(key))
        return [self._offsets[place] for place in places.tolist()]
