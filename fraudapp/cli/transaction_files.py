"""Transactions read from files: CSV with PaySim's columns, or JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from models.characters import legible
from models.errors import Rejected
from models.files.rows import BadRow, rows
from models.parsing import InvalidTransaction
from models.records import Transaction
from models.schema.definition import ID
from models.schema.fields import required
from models.schema.schema import PAYSIM, Schema


class InvalidRow(Rejected, ValueError):
    """A row that holds no valid transaction; the message names the row and the reason."""


def read_file(
    path: Path, id_prefix: str, schema: Schema = PAYSIM
) -> Iterator[Transaction | InvalidRow]:
    """Yield the transaction of each row, or the `InvalidRow` that says what is wrong with it.

    A row without `transaction_id` gets `PREFIX-ROW`, with rows counted from 1. Raises
    `UnreadableFile`; see `models.files.rows.rows`.
    """
    needed = [name for name in required(schema.definition) if name != ID]
    for row in rows(path, needed, schema):
        if isinstance(row, BadRow):
            yield InvalidRow(legible(row.sentence(path)))
            continue
        try:
            row.fields.setdefault(ID, f"{id_prefix}-{row.number}")
            yield schema.parser.from_mapping(row.fields)
        except InvalidTransaction as exc:
            invalid = BadRow(row.number, row.line, exc.errors)
            yield InvalidRow(legible(invalid.sentence(path)))
