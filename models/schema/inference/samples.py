"""The messages of a file to make a schema of: JSON lines, or the rows of CSV or Parquet."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from models.characters import legible
from models.errors import Rejected
from models.files import parquet
from models.files.cells import UNSEPARATED, RefusedRow, cells, miscounted, separated
from models.files.columns import Columns
from models.files.fields import FileFields
from models.files.lines import Line, UnreadableFile, shown
from models.files.records import Records
from models.files.text import Text
from models.files.transactions import needed
from models.files.typed import Unreadable, plain
from models.parsing import UNREADABLE
from models.schema.definition import ID, Definition
from models.schema.inference.leaves import Unreachable
from models.schema.inference.names import is_identifier
from models.schema.inference.nesting import nested

MAX_NUMBER: Final = 40
"""Characters of a number in a cell; what is longer is a text."""
_SEPARATING: Final = re.compile(r"\w(\W*[^\w.\-\[\]]\W*)\w")
"""What may stand between columns, and is neither within a path nor within a word."""
_number: Final = msgspec.json.Decoder(int | float).decode


class SampleError(Rejected, ValueError):
    """A sample of which no schema can be made; the message says which, where and why."""


class Sample(NamedTuple):
    """The first messages of a file."""

    messages: Sequence[dict[str, Any]]
    columns: Sequence[str] | None = None
    """The header of a file that has one."""
    unreachable: Sequence[Unreachable] = ()
    """Columns that no field can be made of."""
    hold: Callable[[Definition], None] = lambda definition: None
    """Tries a draft on the file's header; raises `UnreadableFile` or `SampleError`."""


def read_sample(path: Path, limit: int) -> Sample:
    """Return the messages of a file, at most `limit`.

    The file is read as where transactions are published. Columns that are named by paths make
    nested messages; cells of a column that are all numbers are numbers. Raises `UnreadableFile`,
    and `SampleError` for the first row that holds no message.
    """
    if parquet.is_parquet(path):
        return _of_parquet(path, limit)
    text = Text(path)
    if text.first is None:
        raise UnreadableFile(f"{shown(path)} is empty: a sample has a message on each line")
    if not text.is_json:
        return _of_csv(text, text.first, limit)
    given = islice(chain([text.first], text.lines), limit)
    return Sample([_object(line) for line in given])


def _object(line: Line) -> dict[str, Any]:
    try:
        found = msgspec.json.decode(line.text.encode(errors="surrogateescape"))
    except UNREADABLE as exc:
        raise SampleError(f"line {line.number}: not valid JSON: {exc}") from exc
    if not isinstance(found, dict):
        raise SampleError(f"line {line.number}: must be a JSON object")
    return found


def _of_csv(text: Text, header: Line, limit: int) -> Sample:
    try:
        separator, columns = separated(header.text, lambda cells: (len(cells) - 1,))
    except RefusedRow as exc:
        raise UnreadableFile(f"{shown(text.path)}: {exc}") from exc
    # In quotes, it is meant to be one column.
    if len(columns) == 1 and '"' not in header.text and (by := _SEPARATING.search(columns[0])):
        raise UnreadableFile(
            f"{shown(text.path)}: {UNSEPARATED}, only {by[1]!r:.20}: write one of them instead; if "
            "it is the name of one column, write it in quotes"
        )
    given = [*islice(text.lines, limit)]
    rows = [_cells(line, separator, len(columns)) for line in given]
    table = {
        column: _values(column, [row[place] for row in rows])
        for place, column in enumerate(columns)
    }

    def hold(definition: Definition) -> None:
        tried = Columns(text.path, header, needed(definition), FileFields(definition))
        for line in given[-1:]:  # the one that may have been cut off
            try:
                tried.read(line)
            except RefusedRow as exc:
                raise SampleError(f"line {line.number}: {exc}") from exc

    return _of_table(text.path, columns, table, hold)


def _of_parquet(path: Path, limit: int) -> Sample:
    with parquet.opened(path) as file:
        unread = {
            leaf.path[0].key: leaf.problem
            for leaf in file.leaves
            if len(leaf.path) == 1 and leaf.problem
        }
        names = [name for name in file.columns if name not in unread]
        records = [*islice(file.records(names), limit)]

    def hold(definition: Definition) -> None:
        Records(file, needed(definition), FileFields(definition))

    table: dict[str, list[Any]] = {name: [] for name in names}
    for number, record in enumerate(records, start=1):
        for name, values in table.items():
            try:
                values.append(plain(record[name]))
            except Unreadable as exc:
                raise SampleError(f"row {number}: {legible(name)}: {exc}") from exc
    sample = _of_table(path, file.columns, table, hold)
    left_out = [Unreachable(legible(name)[:80], f"it {why}") for name, why in unread.items()]
    return sample._replace(unreachable=[*sample.unreachable, *left_out])


def _of_table(
    path: Path,
    columns: Sequence[str],
    table: Mapping[str, list[Any]],
    hold: Callable[[Definition], None],
) -> Sample:
    """A row without an id has one made of its number, as where files are published."""
    if twice := sorted({each for each in columns if each and columns.count(each) > 1}):
        raise UnreadableFile(f"{shown(path)}: column {', '.join(twice)!r:.200} is there twice")
    made = dict(table)
    if ID in made:
        ids = enumerate(made[ID], start=1)
        made[ID] = [f"row-{row}" if each is None else each for row, each in ids]
    messages, unreachable = nested(made, max(map(len, table.values()), default=0))
    return Sample(messages, columns, unreachable, hold)


def _values(column: str, cells: Sequence[str]) -> list[Any]:
    """Return what is in a column: numbers if all are, else texts; None where nothing is.

    Floats that only name something are texts: pandas writes 5411.0 where a code had a gap.
    """
    numbers = [_number_of(cell) for cell in cells]
    given = [number for number, cell in zip(numbers, cells, strict=True) if cell]
    if None not in given and not (is_identifier(column.split(".")) and _has_gaps(given)):
        return numbers
    return [cell or None for cell in cells]


def _has_gaps(numbers: Sequence[Any]) -> bool:
    """Whether some numbers are floats, though all are whole."""
    are_floats = any(isinstance(each, float) for each in numbers)
    return are_floats and all(float(each).is_integer() for each in numbers)


def _cells(line: Line, separator: str, count: int) -> list[str]:
    if line.cut:
        raise SampleError(f"line {line.number}: the line is too long for a message")
    try:
        found = cells(line.text, separator)
        if len(found) != count:
            raise miscounted(line.text, len(found), count)
        return found
    except RefusedRow as exc:
        raise SampleError(f"line {line.number}: {exc}") from exc


def _number_of(cell: str) -> int | float | None:
    """Return the number that a cell holds; None if it holds none."""
    if len(cell) > MAX_NUMBER:
        return None
    try:
        return _number(cell.strip(" "))
    except UNREADABLE:
        return None
