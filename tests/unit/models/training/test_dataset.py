"""A file that cannot be trained on is refused with a sentence; other files are read correctly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from models.errors import TrainingDataError
from models.schema.schema import PAYSIM
from models.training.dataset import labelled
from models.training.reading import needed

pytestmark = pytest.mark.slow

HEADER = (
    "step,type,amount,nameOrig,oldbalanceOrg,newbalanceOrig,"
    "nameDest,oldbalanceDest,newbalanceDest,isFraud,isFlaggedFraud\n"
)
GOOD = "2,TRANSFER,181.0,C1,181.0,0.0,C2,0.0,0.0,1,0\n1,PAYMENT,9.5,C3,20.0,10.5,M1,0.0,0.0,0,0\n"


def file(tmp_path: Path, text: str | bytes) -> Path:
    path = tmp_path / "rows.csv"
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def frame(**changes: Any) -> pd.DataFrame:
    columns = {
        "step": [1, 2],
        "type": ["TRANSFER", "PAYMENT"],
        "amount": [1.0, 2.0],
        "oldbalanceOrg": [1.0, 5.0],
        "oldbalanceDest": [0.0, 0.0],
        "isFraud": [1, 0],
    }
    made: pd.DataFrame = pd.DataFrame(columns | changes)
    return made


def test_rows_are_read_in_order_of_time(tmp_path: Path) -> None:
    rows = labelled(file(tmp_path, HEADER + GOOD), weight_legit=21.2)
    assert rows.step.tolist() == [1, 2]
    assert rows.fraud.tolist() == [False, True]
    assert rows.weight.tolist() == [21.2, 1.0]
    assert rows.amount.tolist() == [9.5, 181.0]
    assert np.asarray(rows.drained).tolist() == [False, True]


def test_a_byte_order_mark_windows_lines_and_labels_with_a_point_are_fine(tmp_path: Path) -> None:
    text = (HEADER + GOOD.replace(",1,0\n", ",1.0,0\n").replace(",0,0\n", ",0.0,0\n")).replace(
        "\n", "\r\n"
    )
    rows = labelled(file(tmp_path, b"\xef\xbb\xbf" + text.encode()))
    assert rows.fraud.tolist() == [False, True]


def test_the_drain_rule_is_about_transfers_and_cash_outs_only() -> None:
    rows = labelled(frame(type=["CASH_OUT", "PAYMENT"], oldbalanceOrg=[1.0, 2.0]))
    assert np.asarray(rows.drained).tolist() == [True, False]


@pytest.mark.parametrize("name", needed(PAYSIM))
def test_a_missing_column_is_named(name: str) -> None:
    with pytest.raises(TrainingDataError, match=f"column {name} is missing"):
        labelled(frame().drop(columns=name))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("isFraud", 2),
        ("isFraud", 0.5),
        ("isFraud", "yes"),
        ("isFraud", -1),
        ("amount", np.nan),
        ("amount", np.inf),
        ("amount", -0.01),
        ("amount", "1,000"),
        ("amount", "1_000"),
        ("amount", "\uff11\uff12"),
        ("amount", ""),
        ("oldbalanceOrg", -5e6),
        ("oldbalanceDest", None),
        ("step", 0),
        ("step", 1.5),
        ("step", -3),
        ("step", 2**31),
        ("type", "LOAN"),
        ("type", "transfer"),
        ("type", " TRANSFER"),
        ("type", "CASH-IN"),
        ("type", np.nan),
        ("type", 3),
    ],
)
def test_a_bad_value_is_named_with_its_column_and_row(name: str, value: object) -> None:
    bad = frame().astype({name: object})
    bad.loc[1, name] = value
    with pytest.raises(TrainingDataError, match=rf"row 2: {name}: "):
        labelled(bad)


@pytest.mark.parametrize("name", ["amount", "step"])
def test_truth_values_are_no_numbers(name: str) -> None:
    with pytest.raises(TrainingDataError, match=f"row 1: {name}: "):
        labelled(frame(**{name: [True, False]}))


@pytest.mark.parametrize("weight", [0.0, -1.0, np.nan, np.inf])
def test_a_weight_must_be_a_positive_number(weight: float) -> None:
    with pytest.raises(TrainingDataError, match="weight_legit"):
        labelled(frame(), weight_legit=weight)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no transactions"),
        (HEADER.encode(), "no transactions"),
        (b"\xff\xfe\x00\x01", "rows.csv"),
        (b'{"step": 1}\n', "is missing"),
        (HEADER.encode() + b'1,"PAYMENT,1\n', "rows.csv"),
        (HEADER.encode() + b"1,PAYMENT,1,2,3,4,5,6,7,8,9,10,11,12\n" * 2, "rows.csv"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_its_name(
    tmp_path: Path, content: bytes, message: str
) -> None:
    with pytest.raises(TrainingDataError, match=message) as caught:
        labelled(file(tmp_path, content))
    assert "rows.csv" in str(caught.value)


def test_an_absent_file_and_a_directory_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingDataError, match="No such file"):
        labelled(tmp_path / "absent.csv")
    with pytest.raises(TrainingDataError, match="cannot be read"):
        labelled(tmp_path)
