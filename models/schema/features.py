"""Features compiled from a schema: one matrix for training and serving, one row or thousands."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from models.schema.definition import Definition
from models.schema.expressions import Expressions
from models.schema.fields import bounds, number
from models.seals import name_digest

Matrix = NDArray[np.float32]
Learned = Mapping[str, Mapping[str, float]]
"""By feature, the number that training has found for each text; `OTHERS` is that of all others."""

OTHERS: Final = ""


class Features:
    """The features of a schema, with what training has learned for them; immutable."""

    def __init__(self, definition: Definition, learned: Learned | None = None) -> None:
        """Without `learned`, the features that need it are missing in every row."""
        self.names = tuple(definition.features)
        """Names of the columns of the matrix."""
        made = Expressions(definition)
        self.fields = tuple(
            dict.fromkeys(
                [
                    *made.numbers,
                    *made.categories,
                    *made.blanks,
                    *(field for _, field in made.learned),
                ]
            )
        )
        """The fields that the features are made of."""
        self.learned = made.learned
        """The features that need learning, and the field of each."""
        self._get = attrgetter(*self.fields, self.fields[0])  # two names at least: a tuple
        place = {name: at for at, name in enumerate(self.fields)}
        known = definition.known()
        fields = [known[name] for name in made.numbers]
        self._numbers = [place[name] for name in made.numbers]
        self._read = [number(field) for field in fields]
        self._least = np.array([bounds(field)[0] for field in fields], dtype=np.float64)
        self._highest_bound = self._least.max(initial=-np.inf)
        self._optional = any(field.optional for field in fields)
        self._categories = [
            (place[name], _Places(name, values, closed=known[name].values is not None))
            for name, values in zip(made.categories, made.values, strict=True)
        ]
        self._blanks = [place[name] for name in made.blanks]
        tables = learned or {}
        self.learned_digest = name_digest(msgspec.json.encode(tables, order="sorted"))
        """Names what training has learned: those of a schema with one digest are alike."""
        self._tables = [
            (place[field], _Numbers(tables.get(name, {}))) for name, field in made.learned
        ]
        given: dict[str, Any] = {f"K{n}": table for n, (_, table) in enumerate(self._categories)}
        given |= {f"U{n}": table for n, (_, table) in enumerate(self._tables)}
        given |= {f"N{n}": read for n, read in enumerate(self._read) if read}
        self._one, self._many = made.one(given), made.many()

    def matrix(self, transactions: Sequence[Any]) -> Matrix:
        """Return the feature matrix, float32 of shape (transactions, features).

        Raises `ValueError` for numbers below their least, for infinite ones, and for values that a
        category does not have. Parsing has refused them before.
        """
        if not transactions:
            return np.empty((0, len(self.names)), dtype=np.float32)
        if len(transactions) == 1:
            return self._of_one(transactions[0])
        return self._of_columns(list(zip(*map(self._get, transactions), strict=True)))

    def from_columns(self, columns: Mapping[str, Iterable[Any]]) -> Matrix:
        """Return the matrix from the columns of `fields`, by name; raises like `matrix`.

        The result is the transpose of a contiguous array: its columns are contiguous, its rows are
        not.
        """
        return self._of_columns([list(columns[name]) for name in self.fields])

    def _of_columns(self, columns: Sequence[Sequence[Any]]) -> Matrix:
        rows = len(columns[0])
        table = np.array([self._number(at, columns) for at in range(len(self._numbers))], float)
        self._check(table)
        # All values fit float32, the type in which trees compare: bounds are far below its largest.
        matrix = np.empty((len(self.names), rows), dtype=np.float32)
        self._many(
            table,
            [_column(places, columns[at], np.int32) for at, places in self._categories],
            [np.array([each is None for each in columns[at]]) for at in self._blanks],
            [_column(numbers, columns[at], np.float64) for at, numbers in self._tables],
            matrix,
        )
        columns_first: Matrix = matrix.T
        return columns_first

    def _number(self, number: int, columns: Sequence[Sequence[Any]]) -> Sequence[float]:
        column, read = columns[self._numbers[number]], self._read[number]
        return column if read is None else [*map(read, column)]

    def _of_one(self, transaction: Any) -> Matrix:
        """The same for a single row in plain Python: for one row, the calls of numpy cost more."""
        row = self._one(transaction)
        if row is None:
            return self._of_columns([[each] for each in self._get(transaction)])  # raises
        return np.array([row], dtype=np.float32)

    def _check(self, table: NDArray[np.float64]) -> None:
        # Nearly always, the largest of all bounds suffices.
        if not table.size or (table.min() >= self._highest_bound and table.max() < np.inf):
            return
        least = np.fmin.reduce(table, axis=1) if self._optional else table.min(axis=1)
        most = np.fmax.reduce(table, axis=1) if self._optional else table.max(axis=1)
        wrong = ~((least >= self._least) & (most < np.inf))  # NaN fails this too
        if self._optional:
            wrong &= ~np.isnan(least)
        if wrong.any():
            at = int(np.argmax(wrong))
            name = self.fields[self._numbers[at]]
            raise ValueError(f"{name} must be a finite number from {self._least[at]:g}")


class _Places(dict[Any, int]):
    """The place of each value of a category, by which expressions tell it; -1 for others."""

    def __init__(self, name: str, values: Sequence[str], *, closed: bool) -> None:
        super().__init__({value: at for at, value in enumerate(values)})
        self[None] = -1
        self._name = name
        self._closed = closed

    def __missing__(self, value: str) -> int:
        if self._closed:
            raise ValueError(f"unknown {self._name} {value!r}")
        return -1


class _Numbers(dict[Any, float]):
    """What training has learned of each text."""

    def __init__(self, learned: Mapping[str, float]) -> None:
        super().__init__(learned)
        self[None] = math.nan
        self._others = learned.get(OTHERS, math.nan)

    def __missing__(self, value: str) -> float:
        return self._others


def _column(table: Mapping[Any, float], column: Sequence[Any], kind: Any) -> NDArray[Any]:
    return np.fromiter(map(table.__getitem__, column), dtype=kind, count=len(column))
