"""Labelled transactions, read from a file or a frame and checked, for training and evaluation."""

from __future__ import annotations

from array import array
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.characters import legible
from models.errors import TrainingDataError
from models.files.rows import BadRow, UnreadableFile, rows
from models.records import MAX_STEP
from models.schema.features import Matrix
from models.schema.schema import PAYSIM

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Source = Path | pd.DataFrame

MONEY = ("amount", "oldbalanceOrg", "oldbalanceDest")
TYPES = list(PAYSIM.definition.fields["type"].values or ())
COLUMNS = ("step", "type", *MONEY, "isFraud")
"""The columns that are read; a file may have more."""


class Labelled(NamedTuple):
    """Labelled rows in order of time; all arrays have the same length."""

    matrix: Matrix
    fraud: Flags
    weight: Floats
    """How many transactions of the population a row stands for."""
    step: NDArray[np.int64]
    amount: Floats
    """Account currency."""
    drained: Flags
    """TRANSFER or CASH_OUT of exactly the origin's balance: the baseline rule of evaluations."""

    def at(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Labelled:
        """Select rows by a mask, or reorder them by an index."""
        return Labelled(
            self.matrix[rows],
            self.fraud[rows],
            self.weight[rows],
            self.step[rows],
            self.amount[rows],
            self.drained[rows],
        )


def labelled(source: Source, weight_legit: float = 1.0) -> Labelled:
    """Read a file (`models.files.rows`) or a frame with PaySim's columns; returns rows by step.

    `weight_legit` is how many transactions each legitimate row stands for, where the source holds
    only a sample of them. Labels may be 0/1 or 0.0/1.0. Raises `TrainingDataError`.
    """
    name = str(source) if isinstance(source, Path) else "the frame"
    if not 0.0 < weight_legit < np.inf:
        raise TrainingDataError(f"weight_legit={weight_legit} is not a number above 0")
    try:
        return _checked(_read(source), weight_legit)
    except UnreadableFile as error:
        raise TrainingDataError(str(error)) from error
    except ValueError as error:
        raise TrainingDataError(f"{name}: {error}") from error


def _read(source: Source) -> pd.DataFrame:
    if isinstance(source, pd.DataFrame):
        return source
    columns: dict[str, list[Any]] = {name: [] for name in COLUMNS}
    lines = array("q")
    bad: list[BadRow] = []
    for row in rows(source, COLUMNS):
        if isinstance(row, BadRow):
            bad.append(row)
            continue
        lines.append(row.line)
        for name in COLUMNS:
            columns[name].append(row.fields.get(name))
    if bad:
        more = f"; {len(bad) - 1} more rows cannot be read" if len(bad) > 1 else ""
        raise UnreadableFile(legible(bad[0].sentence(source)) + more)
    frame: pd.DataFrame = pd.DataFrame(columns, index=pd.Index(lines, name="line"))
    return frame


def _checked(frame: pd.DataFrame, weight_legit: float) -> Labelled:
    if missing := [name for name in COLUMNS if name not in frame.columns]:
        raise ValueError(f"column {', '.join(missing)} is missing; needed are {', '.join(COLUMNS)}")
    if frame.empty:
        raise ValueError("it holds no transactions")
    money = {name: _numbers(frame, name, 0.0, np.inf) for name in MONEY}
    step = _numbers(frame, "step", 1, MAX_STEP, whole=True)
    fraud = _numbers(frame, "isFraud", 0, 1, whole=True) == 1.0
    kinds = frame["type"].to_numpy(dtype=object)
    _refuse(frame, "type", ~np.isin(kinds.astype(str), TYPES), f"one of {TYPES}")
    drained = np.isin(kinds.astype(str), ["TRANSFER", "CASH_OUT"])
    drained &= money["amount"] == money["oldbalanceOrg"]
    found = Labelled(
        PAYSIM.features.from_columns({"type": kinds, **money}),
        fraud,
        np.where(fraud, 1.0, weight_legit),
        step.astype(np.int64),
        money["amount"],
        drained,
    )
    return found.at(np.argsort(found.step, kind="stable"))


def _numbers(
    frame: pd.DataFrame, name: str, least: float, most: float, whole: bool = False
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
    _refuse(frame, name, ~fits, expected)
    return numbers


def _refuse(frame: pd.DataFrame, name: str, bad: Flags, expected: str) -> None:
    if bad.any():
        row = int(np.argmax(bad))
        line = f", line {frame.index[row]}," if frame.index.name == "line" else ""
        raise ValueError(
            f"column {name} must hold {expected} in every row; {int(bad.sum())} do not, the first "
            f"is row {row + 1}{line} with {frame[name].iloc[row]!r}"
        )
