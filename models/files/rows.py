"""Rows of a CSV, JSON lines or Parquet file. All commands read files with this strict reader."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from models.files import parquet
from models.files.cells import RefusedRow
from models.files.columns import Columns
from models.files.fields import FileFields
from models.files.json_lines import JsonLines
from models.files.lines import Line, UnreadableFile, shown
from models.files.records import Records
from models.files.text import Text, stem
from models.records import FieldError
from models.schema.schema import PAYSIM, Schema

__all__ = ["BadRow", "Row", "UnreadableFile", "rows", "rows_of", "stem"]


class Row(NamedTuple):
    """The fields of a row: numbers and texts. Empty optional fields are absent."""

    number: int
    """From 1; blank lines are not counted."""
    line: int
    """From 1; 0 in a file that has no lines."""
    fields: dict[str, Any]


class BadRow(NamedTuple):
    """A row that cannot be read, and its errors."""

    number: int
    line: int
    errors: list[FieldError]

    def sentence(self, path: Path) -> str:
        """Return the errors as a sentence; it quotes the file, so it may hold any characters."""
        problems = "; ".join(map(str, self.errors))
        line = f"line {self.line}, " if self.line else ""
        return f"{shown(path)}, {line}row {self.number}: {problems}"


def rows(
    source: Path | Text, required: Collection[str], schema: Schema = PAYSIM
) -> Iterator[Row | BadRow]:
    """Yield the rows of a file with fields of transactions; `required` are the required fields.

    Columns of a CSV or Parquet file are named as the fields of the schema, as it says, or by the
    path of a field. Lines of JSON are messages, whose fields lie where the schema says; so may
    those of Parquet's nested columns.

    The file's name tells whether it is CSV, JSON lines or Parquet (`.csv`, `.jsonl`, `.parquet`),
    or else its first line does. A row is bad if its number of cells is not that of the header, if a
    quote does not end on its line, or if it may have been cut off; the rows after it are read. The
    caller checks whether values are allowed. Raises `UnreadableFile`, also if the name of a column
    is nearly right.
    """
    yield from rows_of(source, required, FileFields(schema.definition))


def rows_of(
    source: Path | Text, required: Collection[str], fields: FileFields
) -> Iterator[Row | BadRow]:
    """Yield the same, of a file whose rows hold anything else than transactions."""
    if isinstance(source, Path) and parquet.is_parquet(source):
        yield from _of_parquet(source, required, fields)
    else:
        text = Text(source) if isinstance(source, Path) else source
        yield from _of_text(text, required, fields)


def _of_text(text: Text, required: Collection[str], fields: FileFields) -> Iterator[Row | BadRow]:
    if text.first is None:
        return
    given = text.lines
    read: Callable[[Line], dict[str, Any]]
    if text.is_json:
        given, read = chain([text.first], given), JsonLines(required, fields).read
    else:
        read = Columns(text.path, text.first, required, fields).read
    for number, line in enumerate(given, start=1):
        try:
            if line.cut:
                raise RefusedRow(FieldError("", f"the line is too long for a {fields.what}"))
            yield Row(number, line.number, read(line))
        except RefusedRow as exc:
            yield BadRow(number, line.number, exc.errors)


def _of_parquet(
    path: Path, required: Collection[str], fields: FileFields
) -> Iterator[Row | BadRow]:
    with parquet.opened(path) as file:
        reader = Records(file, required, fields)
        for number, record in enumerate(file.records(reader.columns), start=1):
            try:
                yield Row(number, 0, reader.read(record))
            except RefusedRow as exc:
                yield BadRow(number, 0, exc.errors)
