"""Transactions read from files: CSV with PaySim's columns, or JSON lines."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from models.characters import legible
from models.errors import Rejected
from models.files.columns import NAMES
from models.files.rows import BadRow, rows
from models.parsing import InvalidTransaction
from models.records import Transaction
from models.schema.schema import PAYSIM

OPTIONAL: Final = ("transaction_id", "isFraud", "isFlaggedFraud")
_REQUIRED: Final = tuple(name for name in NAMES if name not in OPTIONAL)


class InvalidRow(Rejected, ValueError):
    """A row that holds no valid transaction; the message names the row and the reason."""


def read_file(path: Path, id_prefix: str) -> Iterator[Transaction | InvalidRow]:
    """Yield the transaction of each row, or the `InvalidRow` that says what is wrong with it.

    A row without `transaction_id` gets `PREFIX-ROW`, with rows counted from 1. Raises
    `UnreadableFile`; see `models.files.rows.rows`.
    """
    for row in rows(path, _REQUIRED):
        if isinstance(row, BadRow):
            yield InvalidRow(legible(row.sentence(path)))
            continue
        try:
            row.fields.setdefault("transaction_id", f"{id_prefix}-{row.number}")
            yield PAYSIM.parser.from_mapping(row.fields)
        except InvalidTransaction as exc:
            invalid = BadRow(row.number, row.line, exc.errors)
            yield InvalidRow(legible(invalid.sentence(path)))
