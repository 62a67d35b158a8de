"""A table of numbers that grows, with an array for each column."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

_LEAST: Final = 1_024
"""Rows that there is room for, once there are any."""
_GROWTH: Final = 1.25
"""By so much a column that is full becomes longer; pages that were never written take no memory."""


class Table:
    """Rows of a structured type, in as many bytes of memory as that says.

    While it grows, there is one column twice; while it is sorted, there is one column twice and 8
    bytes for each row. Columns that were handed out never change.
    """

    def __init__(self, row: np.dtype[np.void]) -> None:
        self._rows = 0
        self._columns = {name: np.empty(0, row)[name].copy() for name in row.names or ()}

    def append(self, rows: NDArray[np.void]) -> None:
        """Add rows of its type."""
        begin, self._rows = self._rows, self._rows + len(rows)
        for name, column in self._columns.items():
            if self._rows > len(column):
                length = max(self._rows, int(begin * _GROWTH), _LEAST)
                longer = np.empty((length, *column.shape[1:]), column.dtype)
                longer[:begin] = column[:begin]
                self._columns[name] = column = longer
            column[begin : self._rows] = rows[name]

    def keep(self, name: str, least: int) -> None:
        """Drop the rows with less than that in a column."""
        self._choose(np.flatnonzero(self.column(name) >= least))

    def sort(self, name: str) -> None:
        """Sort the rows by a column; equal ones stay in their order."""
        self._choose(np.argsort(self.column(name), kind="stable"))

    def column(self, name: str) -> NDArray[Any]:
        """Return a column, without a copy."""
        column: NDArray[Any] = self._columns[name][: self._rows]
        return column

    def _choose(self, places: NDArray[np.intp]) -> None:
        for name in self._columns:
            self._columns[name] = self.column(name)[places]
        self._rows = len(places)
