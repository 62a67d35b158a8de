"""What a model is trained on is what a worker makes of the same messages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import TrainingDataError
from models.parsing import InvalidTransaction
from models.schema.definition import Definition, Feature, Field
from models.schema.reading import read
from models.schema.schema import Schema
from models.training.dataset import Labelled, labelled
from models.training.reading import CHUNK
from tests.unit.models.schema.making import messages, nested, schemas

pytestmark = pytest.mark.slow
LABEL = Field(type="flag", role="label", default=False)
OWN = """
name = "own"
[fields.transaction_id]
type = "text"
role = "id"
[fields.mcc]
type = "category"
coerce = true
optional = true
[fields.amount]
type = "amount"
role = "amount"
default = 5.0
[fields.share]
type = "number"
role = "weight"
default = 1.0
[fields.is_fraud]
type = "flag"
form = "0/1"
role = "label"
default = 0
[features]
log_amount = { log = "amount" }
mcc_share = { frequency = "mcc" }
mcc_unknown = { missing = "mcc" }
"""


def own(text: str = OWN) -> Schema:
    return Schema(read(text.encode(), "own.toml"))


def in_lines(folder: Path, rows: list[dict[str, Any]]) -> Path:
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(each) + "\n" for each in rows))
    return path


def trained_on(folder: Path, rows: list[dict[str, Any]], schema: Schema) -> Labelled:
    return labelled(in_lines(folder, rows), schema=schema)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(data=st.data())
def test_the_matrix_is_that_of_the_same_messages_in_the_topic(
    data: st.DataObject, tmp_path: Path
) -> None:
    made = data.draw(schemas())
    definition = made.definition
    fields = {**definition.fields, "label_": LABEL}
    schema = Schema(Definition(name="made", fields=fields, features=definition.features))
    sent = data.draw(st.lists(messages(schema), min_size=1, max_size=5))
    rows = [nested(schema, {**each, "label_": place % 2 == 0}) for place, each in enumerate(sent)]
    found = trained_on(tmp_path, rows, schema)
    parsed = [schema.parser.parse(json.dumps(each).encode()) for each in rows]
    assert np.array_equal(found.matrix, schema.features.matrix(parsed), equal_nan=True)
    assert found.fraud.tolist() == [place % 2 == 0 for place, _ in enumerate(sent)]


def test_a_number_that_stands_for_a_text_is_the_same_text_with_and_without_gaps(
    tmp_path: Path,
) -> None:
    rows: list[dict[str, Any]] = [
        {"transaction_id": f"t{n}", "mcc": n % 3 and 5411, "is_fraud": n % 2} for n in range(9)
    ]
    rows[4]["mcc"] = None
    found = trained_on(tmp_path, rows, own())
    served = [own().parser.parse(json.dumps(each).encode()).mcc for each in rows]
    assert found.texts["mcc"].tolist() == served
    assert {*served} == {"0", "5411", None}


@pytest.mark.parametrize("suffix", [".jsonl", ".csv", ".parquet", "frame"])
def test_what_is_missing_means_what_the_schema_says(tmp_path: Path, suffix: str) -> None:
    frame = pd.DataFrame({"transaction_id": ["a", "b"], "amount": [None, 2.0], "is_fraud": [1, 0]})
    path = tmp_path / f"rows{suffix}"
    if suffix == "frame":
        found = labelled(frame, schema=own())
    else:
        {".csv": frame.to_csv, ".parquet": frame.to_parquet}.get(suffix, frame.to_json)(
            path,
            **({"orient": "records", "lines": True} if suffix == ".jsonl" else {"index": False}),
        )
        if suffix == ".jsonl":
            path.write_text(path.read_text().replace('"amount":null,', ""))
        found = labelled(path, schema=own())
    assert found.amount.tolist() == [5.0, 2.0]
    assert found.weight.tolist() == [1.0, 1.0]
    assert np.isnan(found.matrix[:, 1]).all()


def test_a_label_that_only_frauds_have_is_one(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [{"transaction_id": "a", "is_fraud": 1}, {"transaction_id": "b"}]
    assert trained_on(tmp_path, rows, own()).fraud.tolist() == [True, False]
    with pytest.raises(TrainingDataError, match="column is_fraud is missing"):
        trained_on(tmp_path, rows[1:], own())


@pytest.mark.parametrize(
    "wrong",
    [
        {"amount": 2e15},
        {"amount": "7"},
        {"mcc": "x" * 200},
        {"mcc": 1.5},
        {"is_fraud": "1"},
        {"is_fraud": True},
        {"amount": float("nan")},
        {"mcc": "\x1b"},
    ],
)
def test_what_the_topic_refuses_is_not_trained_on(tmp_path: Path, wrong: dict[str, Any]) -> None:
    rows = [{"transaction_id": "a", "is_fraud": 1}, {"transaction_id": "b", "is_fraud": 0, **wrong}]
    with pytest.raises(InvalidTransaction):
        own().parser.parse(json.dumps(rows[1]).encode())
    with pytest.raises(TrainingDataError, match=r"line 2, row 2: "):
        trained_on(tmp_path, rows, own())


def test_a_field_that_no_row_has_is_not_taken_for_unknown(tmp_path: Path) -> None:
    text = OWN.replace("optional = true\n", 'path = "merchant.code"\n')
    needed = own(text.replace('mcc_unknown = { missing = "mcc" }\n', ""))
    with pytest.raises(TrainingDataError, match="row 1: mcc: is missing"):
        trained_on(tmp_path, [{"transaction_id": "a", "mcc": 1, "is_fraud": 1}] * 2, needed)


def test_rows_that_count_for_nothing_are_left_out_and_none_counts_for_less(tmp_path: Path) -> None:
    rows = [{"transaction_id": f"t{n}", "share": n, "is_fraud": n % 2} for n in range(3)]
    assert trained_on(tmp_path, rows, own()).weight.tolist() == [1.0, 2.0]
    with pytest.raises(TrainingDataError, match="all rows have weight 0"):
        trained_on(tmp_path, [*rows[:1], {**rows[0], "is_fraud": 1}], own())
    with pytest.raises(TrainingDataError, match="row 1: share: must be 0 or more, got -1"):
        trained_on(tmp_path, [{**rows[0], "share": -1}], own())


def test_a_file_of_several_chunks_is_read_like_a_small_one(tmp_path: Path) -> None:
    rows = [
        {"transaction_id": f"t{n}", "amount": n % 97, "mcc": n % 5, "is_fraud": n % 2}
        for n in range(CHUNK + 1)
    ]
    found = trained_on(tmp_path, rows, own())
    last = trained_on(tmp_path, rows[-2:], own())
    assert np.array_equal(found.matrix[-2:], last.matrix, equal_nan=True)
    assert len(found.fraud) == CHUNK + 1


def test_a_long_text_takes_no_room_in_other_rows(tmp_path: Path) -> None:
    rows = [{"transaction_id": f"t{n}", "mcc": "y" * 128, "is_fraud": n % 2} for n in range(50)]
    texts = trained_on(tmp_path, rows, own()).texts["mcc"]
    assert len({id(each) for each in texts}) == 1


def test_a_schema_of_the_name_of_another_has_its_own_fields(tmp_path: Path) -> None:
    found = trained_on(
        tmp_path, [{"transaction_id": "a", "is_fraud": 1}], own(OWN.replace('"own"', '"paysim"'))
    )
    assert found.drained is None


def test_features_of_one_field_can_be_trained(tmp_path: Path) -> None:
    definition = own().definition
    fields = {name: definition.fields[name] for name in ("transaction_id", "is_fraud", "mcc")}
    features = {"unknown": Feature(missing="mcc")}
    schema = Schema(Definition(name="small", fields=fields, features=features))
    rows: list[dict[str, Any]] = [
        {"transaction_id": "a", "is_fraud": 1},
        {"transaction_id": "b", "mcc": "x"},
    ]
    assert trained_on(tmp_path, rows, schema).matrix.tolist() == [[1.0], [0.0]]
