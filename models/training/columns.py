"""Columns of a frame as a schema's fields, checked: the first value that does not fit is named."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.schema.coercion import flag
from models.schema.definition import Field
from models.schema.fields import bounds

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


def column(frame: pd.DataFrame, name: str, field: Field) -> NDArray[Any]:
    """Return a column as its field has it: numbers, or objects for texts and times.

    A missing number is NaN, another missing value None. Raises `ValueError`.
    """
    if field.type in ("text", "category"):
        return _texts(frame, name, field)
    if field.format == "iso8601":
        return _times(frame, name, field)
    least, most = bounds(field)
    if field.type in ("number", "amount") and field.max is None:
        most = np.inf
    whole = field.whole or field.type == "flag" or field.format in ("hour", "epoch_ms")
    if field.type == "flag" and (field.coerce or field.form != "0/1"):
        frame = pd.DataFrame({name: frame[name].map(_flag)}, index=frame.index)
    return _numbers(frame, name, least, most, whole, field.optional)


def _flag(value: Any) -> Any:
    found = flag(value)
    return value if found is None else int(found)


def _texts(frame: pd.DataFrame, name: str, field: Field) -> NDArray[Any]:
    values = frame[name].to_numpy(dtype=object)
    missing = pd.isna(frame[name]).to_numpy()
    if field.values is not None:
        known = np.isin(values.astype(str), list(field.values)) | (missing & field.optional)
        _refuse(frame, name, ~known, f"one of {[*field.values]}")
    elif field.coerce:
        values = np.array([str(value) for value in values], dtype=object)
    else:
        texts = np.array([isinstance(value, str) for value in values], dtype=bool)
        _refuse(frame, name, ~(texts | (missing & field.optional)), "a text")
    found: NDArray[Any] = values.copy()
    found[missing] = None
    return found


def _times(frame: pd.DataFrame, name: str, field: Field) -> NDArray[Any]:
    moments = pd.to_datetime(frame[name], utc=True, errors="coerce", format="ISO8601")
    missing = pd.isna(frame[name]).to_numpy()
    bad = pd.isna(moments).to_numpy() & ~(missing & field.optional)
    _refuse(frame, name, bad, "a time as ISO 8601")
    found = moments.to_numpy(dtype=object)
    found[missing] = None
    return found


def _numbers(
    frame: pd.DataFrame, name: str, least: float, most: float, whole: bool, optional: bool
) -> Floats:
    """Convert a column to numbers; raises `ValueError` with the first row that does not fit."""
    column = frame[name]
    numbers = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)
    fits = np.isfinite(numbers) & (numbers >= least) & (numbers <= most)
    if pd.api.types.is_bool_dtype(column):
        fits[:] = False
    expected = f"a number from {least:g}" + (f" to {most:g}" if most < np.inf else "")
    if whole:
        fits &= numbers == np.floor(numbers)
        expected = expected.replace("a number", "a whole number")
    if optional:
        fits |= pd.isna(column).to_numpy()
    _refuse(frame, name, ~fits, expected)
    return numbers


def _refuse(frame: pd.DataFrame, name: str, bad: Flags, expected: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        # 0 in a file that has no lines.
        number = frame.index[row] if frame.index.name == "line" else 0
        line = f", line {number}," if number else ""
        raise ValueError(
            f"column {name} must hold {expected} in every row; {int(bad.sum())} do not, the first "
            f"is row {row + 1}{line} with {frame[name].iloc[row]!r}"
        )
