"""The labels of a file, checked as those of the topic are."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Final

from models.files.fields import FileFields
from models.files.rows import BadRow, Row, rows_of
from models.labels.parsing import InvalidLabel, from_mapping
from models.labels.records import Label, Source
from models.schema.definition import ID, Definition, Field

_FIELDS: Final = FileFields(
    Definition(
        name="labels",
        fields={
            ID: Field(type="text", role="id", coerce=True),
            "label": Field(type="flag", form="0/1", coerce=True),
            "source": Field(type="category", values=[*Source]),
            "at": Field(type="time", format="iso8601", optional=True),
            "by": Field(type="text"),
        },
        features={},
    ),
    "label",
)


def labels(
    source: Path, now: datetime, *, of: Source | None = None, by: str | None = None
) -> Iterator[Label | BadRow]:
    """Yield the label of each row, or the row with what is wrong with it.

    A row that does not say its source, or who tells it, has `of` and `by`, if they are given; one
    that does not say when its source learned it has `now`. Raises `UnreadableFile`; see
    `models.files.rows.rows`.
    """
    given = {"source": of, "by": by}
    defaults = {name: value for name, value in given.items() if value is not None}
    needed = [name for name in _FIELDS.names if name != "at" and name not in defaults]
    for row in rows_of(source, needed, _FIELDS):
        yield row if isinstance(row, BadRow) else _checked(row, defaults, now)


def _checked(row: Row, defaults: dict[str, str], now: datetime) -> Label | BadRow:
    try:
        return from_mapping({**defaults, **row.fields}, now)
    except InvalidLabel as exc:
        return BadRow(row.number, row.line, exc.errors)
