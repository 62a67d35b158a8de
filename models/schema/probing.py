"""Rows by which a model is tried before it serves: every category, and sums of every size."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from datetime import datetime, timezone
from typing import Any, Final

from models.schema.definition import Definition, Field
from models.schema.fields import bounds

MAX_ROWS: Final = 5_000
"""Rows at most; of more combinations, so many are drawn by a fixed seed."""
_MOMENTS: Final = [
    datetime(1970, 1, 1, tzinfo=timezone.utc),
    datetime(2024, 2, 29, 23, 59, 59, tzinfo=timezone.utc),
    datetime(9_999, 12, 31, 12, tzinfo=timezone.utc),
]
_SIZES: Final = (0.0, 0.01, 50.0, 1e4, 1e6, 1e8)


def probe_columns(definition: Definition, fields: Iterable[str]) -> dict[str, list[Any]]:
    """Return columns of these fields, by name: combinations of values that they may have."""
    known = definition.known()
    values = {name: _values(known[name]) for name in fields}
    count = 1
    for each in values.values():
        count *= len(each)
    if count <= MAX_ROWS:
        columns = zip(*itertools.product(*values.values()), strict=True)
        return {name: list(column) for name, column in zip(values, columns, strict=True)}
    draw = random.Random(0)  # noqa: S311
    return {name: draw.choices(each, k=MAX_ROWS) for name, each in values.items()}


def _values(field: Field) -> list[Any]:
    missing = [None] if field.optional else []
    if field.type in ("text", "category"):
        return [*(field.values or ["", "a"]), *missing]
    if field.type == "flag":
        return [0, 1, *missing]
    if field.format == "iso8601":
        return [*_MOMENTS, *missing]
    least, most = bounds(field)
    sizes = {size for each in _SIZES for size in (each, -each) if least <= size <= most}
    return [*sorted({*sizes, least, most}), *missing]
