"""Transactions read from files: CSV, JSON lines or Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from models.characters import legible
from models.errors import Rejected
from models.files.rows import BadRow
from models.files.transactions import transactions
from models.records import Transaction
from models.schema.schema import PAYSIM, Schema


class InvalidRow(Rejected, ValueError):
    """A row that holds no valid transaction; the message names the row and the reason."""


def read_file(
    path: Path, id_prefix: str, schema: Schema = PAYSIM
) -> Iterator[Transaction | InvalidRow]:
    """Yield what `models.files.transactions` does, with an `InvalidRow` for what is wrong."""
    for found in transactions(path, id_prefix, schema):
        if isinstance(found, BadRow):
            yield InvalidRow(legible(found.sentence(path)))
        else:
            yield found
