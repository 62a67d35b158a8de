"""Labels read from files: CSV, JSON lines or Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from fraudapp.cli.transaction_files import InvalidRow
from models.characters import legible
from models.files.labels import labels
from models.files.rows import BadRow
from models.labels.records import Label, Source


def read_labels(
    path: Path, now: datetime, *, of: Source | None = None, by: str | None = None
) -> Iterator[Label | InvalidRow]:
    """Yield what `models.files.labels` does, with an `InvalidRow` for what is wrong."""
    for found in labels(path, now, of=of, by=by):
        if isinstance(found, BadRow):
            yield InvalidRow(legible(found.sentence(path)))
        else:
            yield found
