"""Arrays that grow at their end, for columns of millions of rows.

Joining a list of chunks has all of them in memory twice. An array that is resized in place is moved
by its pages, which copies nothing where it is large.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

STEP: Final = 0.125
"""Share by which an array grows at least, beyond what it is asked to hold."""


class Growing:
    """One column; `extend` adds values at its end."""

    def __init__(self, dtype: Any) -> None:
        self._values: NDArray[Any] = np.empty(0, dtype)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def extend(self, values: NDArray[Any]) -> None:
        """Add values of the column's type."""
        end = self._count + len(values)
        if end > len(self._values):
            self._resize(end + int(end * STEP))
        self._values[self._count : end] = values
        self._count = end

    def taken(self) -> NDArray[Any]:
        """Return the column, and be empty."""
        self._resize(self._count)
        found, self._values, self._count = self._values, self._values[:0].copy(), 0
        return found

    def _resize(self, size: int) -> None:
        # Nobody else has the array, so that counting references to it would only see this object's.
        self._values.resize(size, refcheck=False)
