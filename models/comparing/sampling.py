"""An even sample of ids that halves itself whenever it has grown too large.

It is adaptive sampling (Flajolet, "On Adaptive Sampling", Computing 43, 1990). Whether an id is in
it depends on its hash and on how many halvings there were, and these on which ids came, not on
their order. So the same decisions give the same sample, from the log as from Postgres.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

_BITS: Final = 32


def halvings(ids: Sequence[str]) -> NDArray[np.uint8]:
    """Return how many halvings each id outlives, 0 to 32: half of all outlive none of them.

    The checksum is mixed, since the control group has those ids whose checksum itself is small:
    see `models.policies.exploring`. The mixer is the last step of MurmurHash3 (Appleby, 2011).
    """
    hashes = np.fromiter((crc32(each.encode()) for each in ids), np.uint32, len(ids))
    hashes ^= hashes >> np.uint32(16)
    hashes *= np.uint32(0x85EBCA6B)
    hashes ^= hashes >> np.uint32(13)
    hashes *= np.uint32(0xC2B2AE35)
    hashes ^= hashes >> np.uint32(16)
    _, bits = np.frexp(hashes.astype(np.float64))
    return (_BITS - bits).astype(np.uint8)


class Sample:
    """Says which ids are in a sample of so many at most."""

    def __init__(self, limit: int) -> None:
        self.halved = 0
        """How many times: an id is in the sample if it outlives as many."""
        self._limit = limit
        self._found = np.zeros(_BITS + 1, np.int64)

    @property
    def share(self) -> float:
        """The share of all ids that is in the sample."""
        return 0.5**self.halved

    def add(self, outlived: NDArray[np.uint8]) -> None:
        """Take in ids of the sample that are new, by how many halvings each outlives."""
        self._found += np.bincount(outlived, minlength=_BITS + 1)
        while self.halved < _BITS and self._found[self.halved :].sum() > self._limit:
            self.halved += 1
