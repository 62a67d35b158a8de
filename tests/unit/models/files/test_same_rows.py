"""The same transactions are read from a file of any kind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from models.files.cells import SEPARATORS
from models.files.rows import Row, rows
from models.files.transactions import needed, transactions
from models.schema import presets
from models.schema.definition import ID, Field
from models.schema.fields import default
from models.schema.schema import Schema, preset
from tests.unit.models.schema.making import nested, values


@st.composite
def tables(draw: st.DrawFn, schema: Schema) -> list[dict[str, Any]]:
    """Rows by the names of fields; each may lack what a file may lack."""
    kinds = {name: _given(field) for name, field in schema.definition.fields.items()}
    may_lack = {name for name, field in schema.definition.fields.items() if default(field)}
    made = st.fixed_dictionaries(
        {name: kind for name, kind in kinds.items() if name not in may_lack},
        optional={name: kind for name, kind in kinds.items() if name in may_lack},
    )
    found = draw(st.lists(made, min_size=1, max_size=5))
    for row in found:
        if draw(st.booleans()):
            del row[ID]
    return found


def _given(field: Field) -> st.SearchStrategy[Any]:
    """Values that are there: an empty cell has none."""
    return values(structs.replace(field, optional=False)).map(
        lambda each: "x" if each == "" else each
    )


def written(
    folder: Path, schema: Schema, table: list[dict[str, Any]], *, paths: bool
) -> list[Path]:
    """Write the table in all kinds of files, with columns named by paths or as the fields are."""
    lines = folder / "rows.jsonl"
    lines.write_text("".join(f"{json.dumps(nested(schema, row))}\n" for row in table))
    found = [lines]
    fields = schema.definition.fields
    names = {name: each.path or name for name, each in fields.items()} if paths else {}
    frame = pd.DataFrame(table).rename(columns=names)
    for number, separator in enumerate(SEPARATORS):
        found.append(folder / f"{number}.csv")
        frame.to_csv(found[-1], sep=separator, index=False)
    for name, field in fields.items():
        column = names.get(name, name)
        if field.format == "iso8601" and column in frame:
            frame[column] = pd.to_datetime(frame[column], utc=True, format="ISO8601")
    found += [folder / "rows.parquet", folder / "nested.parquet"]
    frame.to_parquet(found[-2])
    pd.DataFrame([nested(schema, row) for row in table]).to_parquet(found[-1])
    return found


@pytest.mark.parametrize("name", presets.names())
@settings(max_examples=15, deadline=None)
@given(data=st.data(), paths=st.booleans())
def test_files_of_all_kinds_have_the_same_transactions(
    tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject, paths: bool
) -> None:
    schema = preset(name)
    table = data.draw(tables(schema))
    files = written(tmp_path_factory.mktemp("same"), schema, table, paths=paths)
    first, *others = ([*transactions(path, "row", schema)] for path in files)
    assert all(isinstance(each, schema.transaction) for each in first), first
    for path, other in zip(files[1:], others, strict=True):
        assert other == first, path
    if not any(field.coerce for field in schema.definition.fields.values()):
        fields = [_fields(path, schema) for path in files]
        assert fields == [fields[0]] * len(files)


def _fields(path: Path, schema: Schema) -> list[dict[str, Any]]:
    found = [*rows(path, needed(schema.definition), schema)]
    return [each.fields for each in found if isinstance(each, Row)]
