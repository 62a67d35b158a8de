"""How many transactions make a batch: as many as are done within a bound of time."""

from __future__ import annotations

from typing import Final

SMALLEST: Final = 16
"""A batch is never limited to less: what it costs at all is then shared by too few."""
LARGEST: Final = 2_000
FIRST: Final = 256
WEIGHT: Final = 0.2
"""Of the newest batch in the moving average."""


class Pace:
    """Learns from the batches done how large the next may be."""

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

        Small batches say little of what large ones take: for most of their time they wait.
        """
        if count >= SMALLEST:
            self._seconds_each += WEIGHT * (max(seconds, 1e-9) / count - self._seconds_each)
