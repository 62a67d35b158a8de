"""Reads labelled transactions as a worker parses them: what it would refuse is refused here.

Training needs fewer fields than a message has, so a file may lack the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
from msgspec import structs

from models.characters import legible
from models.files import transactions
from models.files.columns import lacking
from models.files.fields import FileFields
from models.files.rows import BadRow, Row, UnreadableFile, rows
from models.files.typed import Unreadable
from models.profiles.replaying import LABEL_DELAY
from models.records import FieldError, Transaction
from models.schema.definition import ID, Definition, Feature, Field
from models.schema.features import Features, Matrix
from models.schema.schema import Schema
from models.training import remembered
from models.training.columns import Column, column_of, dtype
from models.training.growing import Growing
from models.training.matrices import making
from models.training.sources import Source, files

CHUNK: Final = 8_192
"""Transactions that are in memory at a time; what training needs of them is kept."""
TOLD: Final = 32 * CHUNK
"""Rows after which progress is told; some seconds of reading."""
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
    used |= {*remembered.fields(schema)}
    return [name for name in schema.definition.fields if name in used]


def identifying(schema: Schema) -> list[str]:
    """Return the fields that training needs only to tell transactions apart, if they are given."""
    roles = (schema.definition.role(role) for role in _TELLING)
    known = needed(schema)
    return [name for name in roles if name is not None and name not in known]


def read(
    source: Source,
    schema: Schema,
    features: Features,
    label_delay: int = LABEL_DELAY,
    progress: Callable[[str], None] = lambda line: None,
) -> Read:
    """Return the transactions of a source with their features.

    If the schema remembers accounts, rows see what was before them, of whatever file of the source,
    and labels from `label_delay` seconds after their transactions on. `progress` is called with a
    line every `TOLD` rows. Raises `UnreadableFile`, or `ValueError` for a frame, with the first row
    that is no transaction.
    """
    own = _of_training(schema)
    label = schema.definition.role("label") or ""
    demanded = transactions.needed(own.definition)
    convert = {name: column_of(own.definition.fields[name]) for name in needed(schema)}
    get = attrgetter(*convert, ID)  # two names at least: a tuple
    matrix = making(schema, features, CHUNK)
    fields = own.definition.fields
    columns = {name: Growing(dtype(fields[name])) for name in convert}
    hashes = {name: Growing(np.int64) for name in identifying(schema)}
    labelled = False
    parsed = _all_parsed(source, own, demanded)
    while chunk := list(islice(parsed, CHUNK)):
        made = [transaction for transaction, _ in chunk]
        for name, values in zip(convert, zip(*map(get, made), strict=True), strict=False):
            column = convert[name](values)
            columns[name].extend(column)
            if name == label:
                fraud = column == 1.0
        matrix.add(made, fraud)
        for name, grown in hashes.items():
            grown.extend(_hashes(name, chunk))
        labelled = labelled or any(label in fields for _, fields in chunk)
        if (count := len(columns[label])) % TOLD == 0:
            progress(f"{count:,} transactions read")
    if not len(columns[label]):
        raise ValueError("it holds no transactions")
    if not labelled:
        raise ValueError(lacking([label], [*dict.fromkeys([*demanded, label])]))
    whole = {name: grown.taken() for name, grown in columns.items()}
    told = {name: grown.taken() for name, grown in hashes.items()}
    known = {name: each for name, each in told.items() if each.any()}
    return Read(matrix.made(label_delay), whole, known)


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


def _all_parsed(
    source: Source, schema: Schema, demanded: Sequence[str]
) -> Iterator[tuple[Transaction, Mapping[str, Any]]]:
    if isinstance(source, pd.DataFrame):
        yield from _parsed(_of_frame(source, demanded, schema), schema, source)
    for path in files(source):
        yield from _parsed(rows(path, demanded, schema), schema, path)


def _parsed(
    given: Iterator[Row | BadRow], schema: Schema, source: Path | pd.DataFrame
) -> Iterator[tuple[Transaction, Mapping[str, Any]]]:
    """Yield transactions with the fields that were given; raises for the first row that is none."""
    bad: list[BadRow] = []
    weight = schema.definition.role("weight")
    for row in given:
        if isinstance(row, BadRow):
            bad.append(row)
        elif isinstance(made := _checked(row, schema, weight), BadRow):
            bad.append(made)
        elif not bad:
            yield made, row.fields
    if bad:
        more = f"; {len(bad) - 1} more rows cannot be read" if len(bad) > 1 else ""
        if isinstance(source, Path):
            raise UnreadableFile(legible(bad[0].sentence(source)) + more)
        problems = "; ".join(map(str, bad[0].errors))
        raise ValueError(legible(f"row {bad[0].number}: {problems}") + more)


def _checked(row: Row, schema: Schema, weight: str | None) -> Transaction | BadRow:
    made = transactions.checked(row, _ROW, schema)
    if weight and isinstance(made, Transaction) and (given := getattr(made, weight)) < 0:
        wrong = FieldError(weight, f"must be 0 or more, got {given:g}")
        return BadRow(row.number, row.line, [wrong])
    return made


def _of_frame(
    frame: pd.DataFrame, demanded: Sequence[str], schema: Schema
) -> Iterator[Row | BadRow]:
    fields = FileFields(schema.definition)
    columns = {fields.field(name): name for name in map(str, frame.columns)}
    if missing := [name for name in demanded if name not in columns]:
        raise ValueError(lacking(missing, demanded))
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
