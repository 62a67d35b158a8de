"""Sizes batches so that each is processed within a bound of time."""

from __future__ import annotations

from typing import Final

MIN_BATCH_SIZE: Final = 16
"""Below this size the fixed cost of a batch dominates, so no batch is limited to less."""
MAX_BATCH_SIZE: Final = 2_000
INITIAL_BATCH_SIZE: Final = 256
MOVING_AVERAGE_WEIGHT: Final = 0.2
"""Weight of the newest batch in the moving average."""


class BatchSizer:
    """Learns from completed batches how large the next one may be."""

    def __init__(self, bound: float) -> None:
        """`bound` is the seconds one batch may take."""
        self._bound = bound
        self._seconds_each = bound / INITIAL_BATCH_SIZE

    @property
    def size(self) -> int:
        """How many transactions the next batch may have."""
        return max(MIN_BATCH_SIZE, min(MAX_BATCH_SIZE, int(self._bound / self._seconds_each)))

    def observe(self, count: int, seconds: float) -> None:
        """Take note that a batch of so many took that long.

        Small batches tell little about large ones: they wait for most of their time.
        """
        if count >= MIN_BATCH_SIZE:
            self._seconds_each += MOVING_AVERAGE_WEIGHT * (
                max(seconds, 1e-9) / count - self._seconds_each
            )
