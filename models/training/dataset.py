"""Labelled transactions, read from a file or a frame and checked, for training and evaluation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from models.errors import TrainingDataError
from models.files.rows import UnreadableFile
from models.profiles.replaying import LABEL_DELAY
from models.schema.definition import Definition
from models.schema.features import Features, Matrix
from models.schema.schema import PAYSIM, Schema
from models.training.columns import Column, Flags, Floats
from models.training.reading import Read, read
from models.training.sources import Source, told

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
    fields: Mapping[str, Column] = {}
    """What was read, by field, and hashes of `reading.identifying` fields; not in a part of rows.

    For `models.training.guards`. Fields that the source does not have are left out."""

    def kept(self, rows: Flags) -> Labelled:
        """Select rows by a mask, together with what was read of them."""
        fields = {name: column[rows] for name, column in self.fields.items()}
        return self.at(rows)._replace(fields=fields)

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
    label_delay: int = LABEL_DELAY,
    progress: Callable[[str], None] = lambda line: None,
) -> Labelled:
    """Read files (`models.files.rows`) or a frame with a schema's columns; returns rows by time.

    `weight_legit` is how many transactions each legitimate row stands for, where the source holds
    only a sample of them. Labels may be 0/1 or 0.0/1.0. `features` are those of a model, with what
    it has learned; without, learned features are missing. `label_delay` is how many seconds after a
    transaction its label is known, where a schema remembers frauds. `progress` is called with a
    line now and then, if there are many rows. Raises `TrainingDataError`.
    """
    name = told(source, "the frame")
    if not 0.0 < weight_legit < np.inf:
        raise TrainingDataError(f"weight_legit={weight_legit} is not a number above 0")
    if schema.definition.role("label") is None:
        raise TrainingDataError(
            f"schema {schema.name} has no field with the role label: without one, no file says "
            "what was fraud; give the role to the field that does, of type flag, with coerce = "
            "true if it is written as yes and no, and default = false if messages may lack it"
        )
    try:
        found = read(source, schema, features or schema.features, label_delay, progress)
    except UnreadableFile as error:
        raise TrainingDataError(str(error)) from error
    except ValueError as error:
        raise TrainingDataError(f"{name}: {error}") from error
    data = _labelled(found, weight_legit, schema)
    if not data.weight.size:
        raise TrainingDataError(f"{name}: all rows have weight 0: none counts for anything")
    return data


def _labelled(found: Read, weight_legit: float, schema: Schema) -> Labelled:
    definition, columns = schema.definition, found.columns
    fraud = columns[definition.role("label") or ""] == 1.0
    weight = np.where(fraud, 1.0, weight_legit)
    if (of_rows := definition.role("weight")) is not None:
        weight = weight * columns[of_rows]
    amount = columns.get(definition.role("amount") or "", np.zeros(len(fraud)))
    data = Labelled(
        found.matrix,
        fraud,
        weight,
        _hours(columns, definition, len(fraud)),
        np.nan_to_num(amount) if np.isnan(amount).any() else amount,
        _drained(columns) if schema.has_fields_of(PAYSIM) else None,
        {field: columns[field] for _, field in schema.features.learned},
    )
    told = (each for each in columns.items() if each[0] != definition.role("label"))
    given = {**{name: each for name, each in told if not _unknown(each)}, **found.hashes}
    if (weight > 0.0).all() and (data.step[:-1] <= data.step[1:]).all():
        return data._replace(fields=given)  # in order already: no copy of millions of rows
    order = np.argsort(data.step, kind="stable")
    order = order[weight[order] > 0.0]
    return data.at(order)._replace(fields={name: each[order] for name, each in given.items()})


def _unknown(column: Column) -> bool:
    """Whether no row has a value, as where a file lacks an optional field."""
    return bool(pd.isna(column).all())


def _hours(columns: Mapping[str, Column], definition: Definition, rows: int) -> NDArray[np.int64]:
    """Return the hour of each row, from 1 at a midnight; the order of the rows without times."""
    name = definition.role("time")
    if name is None:
        return np.arange(1, rows + 1)
    form = definition.fields[name].format
    if form == "hour":
        hours: NDArray[np.int64] = columns[name].astype(np.int64)
        return hours
    per_hour = 3_600_000 if form == "epoch_ms" else 3_600
    passed: NDArray[np.int64] = np.floor(columns[name] / per_hour).astype(np.int64) + 1
    return passed


def _drained(columns: Mapping[str, Column]) -> Flags:
    drained: Flags = np.isin(columns["type"].astype(str), ["TRANSFER", "CASH_OUT"])
    drained &= columns["amount"] == columns["oldbalanceOrg"]
    return drained
