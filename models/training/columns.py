"""The values of a field, as columns of labelled rows have them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from models.schema.definition import Field
from models.schema.fields import number

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Column = NDArray[Any]

_TEXTS: Final = ("text", "category")


def column_of(field: Field) -> Callable[[Sequence[Any]], Column]:
    """Return a function from values of transactions to a column.

    Numbers, flags and times (seconds since 1970 where the field has moments) are floats, NaN where
    one is missing; texts are objects, None where one is missing, and each different one is kept
    only once.
    """
    if field.type in _TEXTS:
        known: dict[Any, Any] = {}
        return lambda values: np.array([known.setdefault(each, each) for each in values], object)
    read = number(field)
    return lambda values: np.array([*map(read, values)] if read else values, np.float64)


def dtype(field: Field) -> type:
    """Return the type of a field's column, as numpy has it."""
    return object if field.type in _TEXTS else np.float64
