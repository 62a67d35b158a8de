"""The matrix of the transactions of a source, of which a chunk is in memory at a time."""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from typing import Any, Protocol

import numpy as np

from models.profiles.reading import Floats
from models.records import Transaction
from models.schema.definition import ID
from models.schema.features import Features, Matrix
from models.schema.schema import Schema
from models.training.columns import Flags
from models.training.growing import Growing
from models.training.remembered import Remembered


class Making(Protocol):
    """A matrix that is being made."""

    def add(self, transactions: Sequence[Transaction], fraud: Flags) -> None:
        """Add rows, and whether each turned out to be fraud; raises `ValueError`."""

    def made(self, label_delay: int) -> Matrix:
        """Return the matrix of all rows, one at least, in the order in which they were added.

        Labels are known `label_delay` seconds after their transactions. Raises `ValueError`.
        """


def making(schema: Schema, features: Features, chunk: int) -> Making:
    """Return an empty matrix of features; so many rows of it are made at once.

    Raises `ValueError` if the schema remembers accounts, and has no times.
    """
    return _WithPast(schema, features, chunk) if schema.remembering else _Alone(features)


class _Alone:
    """Features that are made of each transaction by itself."""

    def __init__(self, features: Features) -> None:
        self._features = features
        self._columns = [Growing(np.float32) for _ in features.names]

    def add(self, transactions: Sequence[Transaction], fraud: Flags) -> None:
        _extend(self._columns, self._features.matrix(transactions))

    def made(self, label_delay: int) -> Matrix:
        return _joined(self._columns)


class _WithPast:
    """Features that are made of what was before, too, which is known when all rows are there."""

    def __init__(self, schema: Schema, features: Features, chunk: int) -> None:
        self._remembered = Remembered(schema)
        self._names = schema.remembering.names if schema.remembering else ()
        self._features = features
        self._chunk = chunk
        self._own = [name for name in features.fields if name in schema.definition.fields]
        self._get = attrgetter(*self._own, ID, ID)  # two names at least: a tuple
        self._columns: dict[str, list[Any]] = {name: [] for name in self._own}
        self._texts: dict[str, str] = {}

    def add(self, transactions: Sequence[Transaction], fraud: Flags) -> None:
        self._remembered.add(transactions, fraud)
        columns = zip(*map(self._get, transactions), strict=True)
        for name, values in zip(self._own, columns, strict=False):
            self._columns[name] += map(self._once, values)

    def made(self, label_delay: int) -> Matrix:
        values = self._remembered.values(label_delay)
        made = [Growing(np.float32) for _ in self._features.names]
        for at in range(0, len(values), self._chunk):
            part = slice(at, at + self._chunk)
            _extend(made, self._features.from_columns(self._facts(part, values[part])))
        return _joined(made)

    def _facts(self, rows: slice, values: Floats) -> dict[str, Sequence[Any]]:
        own = {name: column[rows] for name, column in self._columns.items()}
        return own | dict(zip(self._names, values.T.tolist(), strict=True))

    def _once(self, value: Any) -> Any:
        """Return a value, of equal texts always the same one."""
        return self._texts.setdefault(value, value) if isinstance(value, str) else value


def _extend(columns: Sequence[Growing], matrix: Matrix) -> None:
    for column, values in zip(columns, matrix.T, strict=True):
        column.extend(values)


def _joined(columns: Sequence[Growing]) -> Matrix:
    """Return the columns as one matrix, whose columns are contiguous, and empty them in turn."""
    whole = np.empty((len(columns), len(columns[0])), np.float32)
    for row, column in zip(whole, columns, strict=True):
        row[:] = column.taken()
    matrix: Matrix = whole.T
    return matrix
