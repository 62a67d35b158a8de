"""Tells most ids that an index lacks without asking it, while it is read from its beginning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

SLOTS: Final = 1 << 25
"""Bytes of memory; of a million ids three in a hundred share one with another."""


class Seen:
    """Remembers hashes of ids: an id that it has not seen was never given to it."""

    def __init__(self) -> None:
        self._slots = np.zeros(SLOTS, np.bool_)

    def perhaps(self, keys: Sequence[bytes]) -> list[bytes]:
        """Return the ids that may have been given before, and remember all of them."""
        places = np.fromiter(map(hash, keys), np.int64, len(keys)) & (SLOTS - 1)
        known = self._slots[places]
        self._slots[places] = True
        return [keys[place] for place in np.flatnonzero(known).tolist()]
