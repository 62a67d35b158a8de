"""Offsets in the decision log of recent transaction ids, at sixteen bytes for each record.

Postgres lags behind the log. A decision that it does not have yet is found here by its offset.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Final

import numpy as np

from models.errors import Retryable

_INT64: Final = "q"


class Unknowable(Retryable):
    """Whether a transaction was decided cannot be told now, only later; the message says why."""


class RecentDecisions:
    """The ids of all records of one partition from offset `start` up to, not including, `end`.

    Records before `start` are looked up in Postgres, once it has the partition up to there.
    The decision listener fills it; no method blocks.
    """

    def __init__(self, start: int, max_ids: int) -> None:
        """`max_ids` is how many ids are remembered before the oldest are forgotten."""
        self.start = start
        self.end = start
        """Offset of the next record of the partition to be added."""
        self.stored = 0
        """Offset up to which Postgres has the partition, as far as its owner has reported."""
        self._max_ids = max_ids
        self._offsets = array(_INT64)
        self._hashes = array(_INT64)

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, keys: Sequence[bytes | None], offsets: Sequence[int]) -> None:
        """Add the next records of the partition, in their order.

        A gap before them means that records were missed. An offset that was read before means
        that the log has become another one. In both cases all earlier ids are forgotten.
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
        if len(self) > self._max_ids:  # a quarter at once, since forgetting moves all the others
            self.forget(self._offsets[len(self) - self._max_ids * 3 // 4])

    def restart(self, next_offset: int) -> None:
        """Forget all ids, and expect the record at this offset next."""
        self.start = self.end = next_offset
        del self._offsets[:], self._hashes[:]

    def forget_stored(self, stored: int) -> None:
        """Forget the records before offset `stored`: Postgres has them.

        It may be less than before: a Postgres that was restored has lost its latest decisions.
        """
        self.stored = stored
        self.forget(min(stored, self.end))

    def forget(self, before: int) -> None:
        """Forget the records before an offset, whether or not Postgres has them."""
        if before > self.start:
            self.start = before
            count = bisect_left(self._offsets, before)
            del self._offsets[:count], self._hashes[:count]

    def find(self, key: bytes) -> list[int]:
        """Return the offsets at which this id may be, in their order.

        Another id can have the same hash, so the caller has to read the records and compare.
        """
        if not self._hashes:
            return []
        places = np.flatnonzero(np.frombuffer(self._hashes, np.int64) == hash(key))
        return [self._offsets[place] for place in places.tolist()]
