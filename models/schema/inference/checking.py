"""Tries a schema on a sample of messages, and says what is wrong with those that are invalid."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from pathlib import Path

from models.files import parquet
from models.files.lines import Line, UnreadableFile, shown
from models.files.rows import BadRow
from models.files.text import Text
from models.files.transactions import transactions
from models.parsing import InvalidTransaction
from models.records import FieldError
from models.schema.schema import Schema


def check(schema: Schema, path: Path) -> Iterator[BadRow | None]:
    """Yield for each message None if it is valid, or what is wrong with it.

    Lines of JSON are read as a worker reads messages; rows of CSV and Parquet as they are where a
    file is published. Raises `UnreadableFile`.
    """
    source: Path | Text = path
    if not parquet.is_parquet(path):
        source = Text(path)
        if source.first is None:
            raise UnreadableFile(f"{shown(path)} is empty: a sample has a message on each line")
        if source.is_json:
            given = enumerate(chain([source.first], source.lines), start=1)
            yield from (_fault(schema, number, line) for number, line in given)
            return
    for found in transactions(source, "row", schema):
        yield found if isinstance(found, BadRow) else None


def _fault(schema: Schema, number: int, line: Line) -> BadRow | None:
    if line.cut:
        wrong = [FieldError("", "the line is too long for a message")]
        return BadRow(number, line.number, wrong)
    try:
        schema.parser.parse(line.text.encode(errors="surrogateescape"))
    except InvalidTransaction as exc:
        return BadRow(number, line.number, exc.errors)
    return None
