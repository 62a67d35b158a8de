"""Reads labelled transactions as a worker parses them: what it would refuse is refused here.

Training needs fewer fields than a message has, so a file may lack the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from msgspec import structs

from models.characters import legible
from models.files.fields import FileFields
from models.files.rows import BadRow, Row, UnreadableFile, rows
from models.files.typed import Unreadable
from models.parsing import InvalidTransaction
from models.records import FieldError, Transaction
from models.schema.definition import ID, Definition, Feature, Field
from models.schema.features import Features, Matrix
from models.schema.fields import required
from models.schema.schema import Schema
from models.training.columns import Column, column, joined

Source = Path | pd.DataFrame
CHUNK: Final = 8_192
"""Transactions that are in memory at a time; what training needs of them is kept."""
_KNOWN: Final = ("time", "label", "weight")
"""Roles of fields that each row has to have, if only in training: where it belongs, what it was,
and what it counts for."""
_TELLING: Final = ("id", "sender", "receiver")
_ROW: Final = "row"


class Read(NamedTuple):
    """Transactions as columns of equal length, in the order of the source."""

    matrix: Matrix
    columns: Mapping[str, Column]
    """Of the fields that `needed` returns."""
    hashes: Mapping[str, Column]
    """Of `identifying` fields that are given, 64 bits each, 0 for a missing value; they differ from
    process to process."""


def needed(schema: Schema) -> list[str]:
    """Return the fields that training reads, in the order of the schema; a file may have more."""
    used = {*schema.features.fields}
    used |= {schema.definition.role(role) or "" for role in ("time", "amount", "weight", "label")}
    return [name for name in schema.definition.fields if name in used]


def identifying(schema: Schema) -> list[str]:
    """Return the fields that training needs only to tell transactions apart, if they are given."""
    roles = (schema.definition.role(role) for role in _TELLING)
    known = needed(schema)
    return [name for name in roles if name is not None and name not in known]


def read(source: Source, schema: Schema, features: Features) -> Read:
    """Return the transactions of a source with their features.

    Raises `UnreadableFile`, or `ValueError` for a frame, with the first row that is no transaction.
    """
    own = _of_training(schema)
    label = schema.definition.role("label") or ""
    demanded = [name for name in required(own.definition) if name != ID]
    given = (
        _of_frame(source, demanded, own)
        if isinstance(source, pd.DataFrame)
        else rows(source, demanded, own)
    )
    names, telling = needed(schema), identifying(schema)
    made = [column(own.definition.fields[name]) for name in names]
    get = attrgetter(*names, names[0])  # two names at least: a tuple
    parts: list[list[Column]] = [[] for _ in names]
    hashed: list[list[Column]] = [[] for _ in telling]
    matrices, labelled = [], False
    parsed = _parsed(given, own, source)
    while chunk := list(islice(parsed, CHUNK)):
        transactions = [transaction for transaction, _ in chunk]
        matrices.append(features.matrix(transactions))
        for place, values in enumerate(list(zip(*map(get, transactions), strict=True))[:-1]):
            parts[place].append(made[place](values))
        for place, name in enumerate(telling):
            hashed[place].append(_hashes(name, chunk))
        labelled = labelled or any(label in fields for _, fields in chunk)
    if matrices and not labelled:
        wanted = ", ".join(dict.fromkeys([*demanded, label]))
        raise ValueError(f"column {label} is missing; needed are {wanted}")
    if not matrices:
        raise ValueError("it holds no transactions")
    columns = {name: joined(each) for name, each in zip(names, parts, strict=True)}
    hashes = {name: joined(each) for name, each in zip(telling, hashed, strict=True)}
    matrix = np.concatenate([each.T for each in matrices], axis=1).T
    return Read(matrix, columns, {name: each for name, each in hashes.items() if each.any()})


def _hashes(name: str, chunk: Sequence[tuple[Transaction, Mapping[str, Any]]]) -> Column:
    values = (fields.get(name) for _, fields in chunk)
    return np.array([0 if each is None else hash(each) for each in values], dtype=np.int64)


@lru_cache(maxsize=16)
def _of_training(schema: Schema) -> Schema:
    """Return a schema in which only what training needs has to be there."""
    fields: dict[str, Field] = {}
    known = {ID, *needed(schema)}
    for name, field in schema.definition.fields.items():
        if name not in known:
            fields[name] = structs.replace(field, optional=True, default=None)
        elif field.role in _KNOWN:
            fields[name] = structs.replace(field, optional=False)
        else:
            fields[name] = field
    # Which features there are does not matter here, as long as there is one.
    features = {"id": Feature(frequency=ID)}
    return Schema(Definition(name=schema.name, fields=fields, features=features))


def _parsed(
    given: Iterator[Row | BadRow], schema: Schema, source: Source
) -> Iterator[tuple[Transaction, Mapping[str, Any]]]:
    """Yield transactions with the fields that were given; raises for the first row that is none."""
    bad: list[BadRow] = []
    weight = schema.definition.role("weight")
    for row in given:
        if isinstance(row, BadRow):
            bad.append(row)
            continue
        fields = row.fields if ID in row.fields else {**row.fields, ID: _ROW}
        try:
            transaction = schema.parser.from_mapping(fields)
        except InvalidTransaction as exc:
            bad.append(BadRow(row.number, row.line, exc.errors))
            continue
        if weight and (given := getattr(transaction, weight)) < 0:
            wrong = FieldError(weight, f"must be 0 or more, got {given:g}")
            bad.append(BadRow(row.number, row.line, [wrong]))
            continue
        if not bad:
            yield transaction, row.fields
    if bad:
        more = f"; {len(bad) - 1} more rows cannot be read" if len(bad) > 1 else ""
        if isinstance(source, Path):
            raise UnreadableFile(legible(bad[0].sentence(source)) + more)
        problems = "; ".join(map(str, bad[0].errors))
        raise ValueError(legible(f"row {bad[0].number}: {problems}") + more)


def _of_frame(
    frame: pd.DataFrame, demanded: Sequence[str], schema: Schema
) -> Iterator[Row | BadRow]:
    fields = FileFields(schema.definition)
    columns = {fields.field(name): name for name in map(str, frame.columns)}
    if missing := [name for name in demanded if name not in columns]:
        raise ValueError(
            f"column {', '.join(missing)} is missing; needed are {', '.join(demanded)}"
        )
    names = [name for name in fields.names if name in columns]
    convert = [fields.typed[name] for name in names]
    values = (frame[columns[name]].tolist() for name in names)
    for number, row in enumerate(zip(*values, strict=True), start=1):
        found: dict[str, Any] = {}
        errors = []
        for name, each, typed in zip(names, row, convert, strict=True):
            if pd.isna(each):
                continue
            try:
                found[name] = typed(each.item() if isinstance(each, np.generic) else each)
            except Unreadable as exc:
                errors.append(FieldError(name, str(exc)))
        yield BadRow(number, 0, errors) if errors else Row(number, 0, found)
