"""Labelled transactions, read from a file or a frame and checked, for training and evaluation."""

from __future__ import annotations

from array import array
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from msgspec import structs
from numpy.typing import NDArray

from models.characters import legible
from models.errors import TrainingDataError
from models.files.rows import BadRow, UnreadableFile, rows
from models.schema.definition import Definition
from models.schema.features import Features, Matrix
from models.schema.fields import required
from models.schema.schema import PAYSIM, Schema
from models.training.columns import Flags, Floats, column

Source = Path | pd.DataFrame
Texts = NDArray[np.object_]


class Labelled(NamedTuple):
    """Labelled rows in order of time; all arrays have the same length."""

    matrix: Matrix
    fraud: Flags
    weight: Floats
    """How many transactions of the population a row stands for."""
    step: NDArray[np.int64]
    amount: Floats
    """Account currency; 0 where it is missing."""
    drained: Flags | None
    """TRANSFER or CASH_OUT of exactly the origin's balance: the baseline rule of evaluations.

    None for other schemas than PaySim's."""
    texts: Mapping[str, Texts] = {}
    """By field, the texts that features are learned from; None where one is missing."""
    fields: Mapping[str, NDArray[Any]] = {}
    """What was read, by field, and hashes of `identifying` fields; not in a part of the rows.

    For `models.training.guards`. Fields that the source does not have are left out."""

    def at(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Labelled:
        """Select rows by a mask, or reorder them by an index."""
        return Labelled(
            self.matrix[rows],
            self.fraud[rows],
            self.weight[rows],
            self.step[rows],
            self.amount[rows],
            None if self.drained is None else self.drained[rows],
            {name: column[rows] for name, column in self.texts.items()},
        )


def labelled(
    source: Source,
    weight_legit: float = 1.0,
    schema: Schema = PAYSIM,
    features: Features | None = None,
) -> Labelled:
    """Read a file (`models.files.rows`) or a frame with a schema's columns; returns rows by time.

    `weight_legit` is how many transactions each legitimate row stands for, where the source holds
    only a sample of them. Labels may be 0/1 or 0.0/1.0. `features` are those of a model, with what
    it has learned; without, learned features are missing. Raises `TrainingDataError`.
    """
    name = str(source) if isinstance(source, Path) else "the frame"
    if not 0.0 < weight_legit < np.inf:
        raise TrainingDataError(f"weight_legit={weight_legit} is not a number above 0")
    if schema.definition.role("label") is None:
        raise TrainingDataError(
            f"schema {schema.name} has no field with the role label: without one, no file says "
            "what was fraud; add the field that has it, which messages may lack: "
            '[fields.is_fraud], type = "flag", role = "label", default = false'
        )
    try:
        read = _read(source, schema)
        return _checked(read, weight_legit, schema, features or schema.features)
    except UnreadableFile as error:
        raise TrainingDataError(str(error)) from error
    except ValueError as error:
        raise TrainingDataError(f"{name}: {error}") from error


def needed(schema: Schema) -> list[str]:
    """Return the fields that training reads, in the order of the schema; a file may have more."""
    used = {*schema.features.fields}
    used |= {schema.definition.role(role) or "" for role in ("time", "amount", "weight", "label")}
    return [name for name in schema.definition.fields if name in used]


def identifying(schema: Schema) -> list[str]:
    """Return the fields that training needs only to tell transactions apart, if they are given.

    Of these it keeps hashes, which are short, and differ from process to process.
    """
    roles = (schema.definition.role(role) for role in ("id", "sender", "receiver"))
    known = needed(schema)
    return [name for name in roles if name is not None and name not in known]


def _required(schema: Schema) -> list[str]:
    wanted = {*required(schema.definition), schema.definition.role("label")}
    return [name for name in needed(schema) if name in wanted]


def _read(source: Source, schema: Schema) -> pd.DataFrame:
    if isinstance(source, pd.DataFrame):
        return source
    names = needed(schema)
    columns: dict[str, Any] = {name: [] for name in names}
    hashes = {name: array("q") for name in identifying(schema)}
    lines = array("q")
    bad: list[BadRow] = []
    for row in rows(source, _required(schema), schema):
        if isinstance(row, BadRow):
            bad.append(row)
            continue
        lines.append(row.line)
        for name in names:
            columns[name].append(row.fields.get(name))
        for name, hashed in hashes.items():
            hashed.append(_hash(row.fields.get(name)))
    if bad:
        more = f"; {len(bad) - 1} more rows cannot be read" if len(bad) > 1 else ""
        raise UnreadableFile(legible(bad[0].sentence(source)) + more)
    columns |= {name: hashed for name, hashed in hashes.items() if any(hashed)}
    frame: pd.DataFrame = pd.DataFrame(columns, index=pd.Index(lines, name="line"))
    return frame


def _checked(
    frame: pd.DataFrame, weight_legit: float, schema: Schema, features: Features
) -> Labelled:
    names, demanded = needed(schema), _required(schema)
    if missing := [name for name in demanded if name not in frame.columns]:
        raise ValueError(
            f"column {', '.join(missing)} is missing; needed are {', '.join(demanded)}"
        )
    if frame.empty:
        raise ValueError("it holds no transactions")
    definition = schema.definition
    # Where a row belongs, what it was and what it counts for has to be known, if only in training.
    known = {definition.role(role) for role in ("time", "label", "weight")}
    fields = {
        name: structs.replace(field, optional=False) if name in known else field
        for name, field in definition.fields.items()
    }
    columns = {
        name: column(frame, name, fields[name])
        if name in frame.columns
        else np.full(len(frame), fields[name].default, dtype=object)
        for name in names
    }
    fraud = columns[definition.role("label") or ""] == 1.0
    weight = np.where(fraud, 1.0, weight_legit)
    if (of_rows := definition.role("weight")) is not None:
        weight = weight * columns[of_rows]
    amount = definition.role("amount")
    found = Labelled(
        features.from_columns({name: columns[name] for name in features.fields}),
        fraud,
        weight,
        _hours(columns, definition, len(frame)),
        np.nan_to_num(columns[amount]) if amount else np.zeros(len(frame)),
        _drained(columns) if schema.name == PAYSIM.name else None,
        {field: columns[field] for _, field in features.learned},
    )
    order = np.argsort(found.step, kind="stable")
    given = {name: each for name, each in columns.items() if name in frame.columns}
    for name in identifying(schema):
        if name in frame.columns:
            known = frame[name].astype(object).where(frame[name].notna(), None)
            given[name] = np.array([*map(_hash, known)], dtype=np.int64)
    return found.at(order)._replace(fields={name: each[order] for name, each in given.items()})


def _hash(value: Any) -> int:
    """Return a hash of 64 bits, 0 for a missing value; a hash is its own hash."""
    return 0 if value is None else hash(value)


def _hours(columns: Mapping[str, Any], definition: Definition, rows: int) -> NDArray[np.int64]:
    """Return the hour of each row, from 1 at a midnight; the order of the rows without times."""
    name = definition.role("time")
    if name is None:
        return np.arange(1, rows + 1)
    form = definition.fields[name].format
    if form == "hour":
        hours: NDArray[np.int64] = columns[name].astype(np.int64)
        return hours
    seconds = columns[name]
    if form == "iso8601":
        seconds = np.array([moment.timestamp() for moment in seconds])
    per_hour = 3_600_000 if form == "epoch_ms" else 3_600
    passed: NDArray[np.int64] = np.floor(seconds / per_hour).astype(np.int64) + 1
    return passed


def _drained(columns: Mapping[str, Any]) -> Flags:
    drained: Flags = np.isin(columns["type"].astype(str), ["TRANSFER", "CASH_OUT"])
    drained &= columns["amount"] == columns["oldbalanceOrg"]
    return drained
