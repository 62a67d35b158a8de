"""The transactions of a file, checked as those of the topic are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from models.files.rows import BadRow, Row, rows
from models.files.text import Text
from models.parsing import InvalidTransaction
from models.records import Transaction
from models.schema.definition import ID, Definition
from models.schema.fields import required
from models.schema.schema import Schema


def needed(definition: Definition) -> list[str]:
    """Return the fields that every row has to have: an id is made of its number."""
    return [name for name in required(definition) if name != ID]


def transactions(
    source: Path | Text, id_prefix: str, schema: Schema
) -> Iterator[Transaction | BadRow]:
    """Yield the transaction of each row, or the row with what is wrong with it.

    A row without `transaction_id` gets `PREFIX-ROW`, with rows counted from 1. Raises
    `UnreadableFile`; see `models.files.rows.rows`.
    """
    for row in rows(source, needed(schema.definition), schema):
        yield row if isinstance(row, BadRow) else checked(row, id_prefix, schema)


def checked(row: Row, id_prefix: str, schema: Schema) -> Transaction | BadRow:
    """Return the transaction of one row, or the row with what is wrong with it."""
    fields = row.fields
    if ID not in fields:
        fields = {**fields, ID: f"{id_prefix}-{row.number}"}
    try:
        return schema.parser.from_mapping(fields)
    except InvalidTransaction as exc:
        return BadRow(row.number, row.line, exc.errors)
