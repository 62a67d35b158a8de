"""How many transactions make a batch: as many as are done within a bound of time."""

from __future__ import annotations

from typing import Final

SMALLEST: Final = 16
"""Below this size the fixed cost of a batch dominates, so no batch is limited to less."""
LARGEST: Final = 2_000
FIRST: Final = 256
WEIGHT: Final = 0.2
"""Of the newest batch in the moving average."""


class BatchSizer:
    """Learns from completed batches how large the next one may be."""

    def __init__(self, bound: float) -> None:
        """`bound` is the seconds one batch may take."""
        self._bound = bound
        self._seconds_each = bound / FIRST

    @property
    def size(self) -> int:
        """Most transactions in the next batch."""
        return max(SMALLEST, min(LARGEST, int(self._bound / self._seconds_each)))

    def observe(self, count: int, seconds: float) -> None:
        """Take note that a batch of so many took that long.

        Small batches tell little about large ones: they wait for most of their time.
        """
        if count >= SMALLEST:
            self._seconds_each += WEIGHT * (max(seconds, 1e-9) / count - self._seconds_each)
