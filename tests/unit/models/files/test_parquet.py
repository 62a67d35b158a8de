"""Parquet's columns are read as fields, whatever type they have, or refused by a sentence."""

from __future__ import annotations

import base64
import io
import os
import sys
from collections.abc import Sequence
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow.parquet import encryption

from fraudapp.cli.transaction_files import InvalidRow, read_file
from models.errors import TrainingDataError
from models.files import parquet
from models.files.rows import UnreadableFile, rows, stem
from models.schema.reading import read
from models.schema.schema import PAYSIM, Schema
from models.training.dataset import labelled
from tests.support.transactions import FIELDS, transaction

UTC = timezone.utc
BERLIN = timezone(timedelta(hours=2))


def schema(*fields: str) -> Schema:
    """A schema with an id, an amount and these fields, as TOML."""
    head = 'name = "typed"\n[fields.transaction_id]\ntype = "text"\nrole = "id"\n'
    head += '[fields.amount]\ntype = "amount"\ndefault = 1.0\n'
    tail = '[features]\nlog_amount = { log = "amount" }\n'
    return Schema(read("\n".join([head, *fields, tail]).encode(), "typed.toml"))


def field(*options: str) -> Schema:
    return schema("\n".join(["[fields.x]", *options]))


def written(tmp_path: Path, columns: dict[str, Any], name: str = "a.parquet") -> Path:
    path = tmp_path / name
    pq.write_table(pa.table(columns), path)
    return path


def value(tmp_path: Path, given: Schema, column: Any) -> Any:
    """What a column of one row is read as; the sentence if it is refused."""
    (found,) = read_file(written(tmp_path, {"x": column}), "p", given)
    return str(found).partition("row 1: ")[2] if isinstance(found, InvalidRow) else found.x


TEXT, NUMBER, WHOLE = ('type = "text"',), ('type = "number"',), ('type = "number"', "whole = true")
FLAG, BIT = ('type = "flag"',), ('type = "flag"', 'form = "0/1"')
ISO, EPOCH, MS, HOUR = (
    ('type = "time"', f'format = "{each}"') for each in ("iso8601", "epoch", "epoch_ms", "hour")
)
LOOSE = ("coerce = true",)
NOON = datetime(2026, 1, 2, 12, 0, 0, 250_000)


@pytest.mark.parametrize(
    ("options", "column", "expected"),
    [
        (TEXT, pa.array(["ä"]), "ä"),
        (TEXT, pa.array(["a"], pa.large_string()), "a"),
        (TEXT, pa.array(["a"]).dictionary_encode(), "a"),
        (TEXT + LOOSE, pa.array([7]), "7"),
        (TEXT + LOOSE, pa.array([Decimal("12345678901234567890")]), "12345678901234567890"),
        (NUMBER, pa.array([1.5]), 1.5),
        (NUMBER, pa.array([1], pa.int8()), 1.0),
        (NUMBER, pa.array([Decimal("-12.50")], pa.decimal128(20, 2)), -12.5),
        (NUMBER + LOOSE, pa.array(["1.5"]), 1.5),
        (WHOLE, pa.array([2.0]), 2),
        (WHOLE, pa.array([2], pa.uint64()), 2),
        (FLAG, pa.array([True]), True),
        (FLAG, pa.array([0]), False),
        (FLAG, pa.array([1.0]), True),
        (FLAG + LOOSE, pa.array(["TRUE"]), True),
        (BIT, pa.array([True]), 1),
        (BIT, pa.array([0.0]), 0),
        (BIT + LOOSE, pa.array(["1.0"]), 1),
        (ISO, pa.array([NOON.replace(tzinfo=UTC)]), NOON.replace(tzinfo=UTC)),
        (ISO, pa.array([NOON.replace(tzinfo=BERLIN)]), NOON.replace(tzinfo=BERLIN)),
        (ISO, pa.array([NOON], pa.timestamp("ns", "Europe/Berlin")), NOON.replace(tzinfo=UTC)),
        (ISO + LOOSE, pa.array([NOON]), NOON.replace(tzinfo=UTC)),
        (ISO + LOOSE, pa.array([NOON], pa.timestamp("ns")), NOON.replace(tzinfo=UTC)),
        (ISO, pa.array(["2026-01-02T12:00:00.25Z"]), NOON.replace(tzinfo=UTC)),
        (EPOCH, pa.array([NOON.replace(tzinfo=UTC)]), 1_767_355_200.25),
        (EPOCH + LOOSE, pa.array([NOON]), 1_767_355_200.25),
        (EPOCH, pa.array([1_767_355_200]), 1_767_355_200.0),
        (MS, pa.array([NOON], pa.timestamp("ms", "UTC")), 1_767_355_200_250),
        (MS + LOOSE, pa.array([NOON], pa.timestamp("ns")), 1_767_355_200_250),
        (MS, pa.array([1_767_355_200_250.0]), 1_767_355_200_250),
        (HOUR, pa.array([3.0]), 3),
    ],
)
def test_a_value_of_each_type_is_read_as_its_field_wants(
    tmp_path: Path, options: tuple[str, ...], column: Any, expected: Any
) -> None:
    found = value(tmp_path, field(*options), column)
    assert (found, type(found)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("options", "column", "words"),
    [
        (TEXT, pa.array([7]), "x: expected `str`, got `int`"),
        (TEXT, pa.array([NOON]), "2026-01-02 12:00:00.250000 is a time: write it as text"),
        (TEXT + LOOSE, pa.array([1.5]), "x: "),
        (NUMBER, pa.array([True]), "x: must be a number, got True"),
        (NUMBER + LOOSE, pa.array([True]), "x: expected `float | str`, got `bool`"),
        (NUMBER, pa.array(["1.5"]), "x: must be a number, got '1.5'"),
        (NUMBER, pa.array([float("inf")]), "x: "),
        (NUMBER, pa.array([date(2026, 1, 2)]), "x: 2026-01-02 is a time, not a number"),
        (WHOLE, pa.array([2.5]), "x: "),
        (FLAG, pa.array([2]), "x: expected `bool`, got `int`"),
        (BIT, pa.array(["1"]), "x: must be a number, got '1'"),
        (ISO, pa.array([NOON]), "x: "),
        (ISO + LOOSE, pa.array([date(2026, 1, 2)]), "x: "),
        (EPOCH, pa.array([NOON]), "x: 2026-01-02 12:00:00.250000 has no offset from UTC"),
        (HOUR, pa.array([NOON]), "x: 2026-01-02 12:00:00.250000 is a time, not a number"),
        (ISO, pa.array([10**18], pa.timestamp("us", "UTC")), "x: cannot be read: "),
        (ISO, pa.array([NOON.replace(tzinfo=UTC)], pa.timestamp("us", "Mars/One")), "x: cannot be"),
        (TEXT, pa.array([None], pa.string()), "x: is null"),
        (NUMBER, pa.array([float("nan")]), "x: is null"),
    ],
)
def test_a_value_that_does_not_fit_its_field_is_refused(
    tmp_path: Path, options: tuple[str, ...], column: Any, words: str
) -> None:
    assert words in str(value(tmp_path, field(*options), column))


@pytest.mark.parametrize(
    "column", [pa.array([None], pa.string()), pa.nulls(1), pa.array([float("nan")])]
)
@pytest.mark.parametrize("options", [TEXT, NUMBER, FLAG, ISO, EPOCH])
def test_null_and_not_a_number_are_missing(
    tmp_path: Path, options: tuple[str, ...], column: Any
) -> None:
    assert value(tmp_path, field(*options, "optional = true"), column) is None


def test_a_wrong_row_is_named_by_its_number_and_its_neighbours_are_read(tmp_path: Path) -> None:
    good = dict(FIELDS) | {"transaction_id": None}
    table = [good] * 20
    table[16] = good | {"amount": -1.0}
    path = tmp_path / "a.pq"
    pd.DataFrame(table).to_parquet(path, row_group_size=6)
    found = [*read_file(path, "p")]
    assert str(found.pop(16)).startswith(f"{path}, row 17: amount: ")
    assert found == [transaction(f"p-{n}") for n in range(1, 21) if n != 17]


def test_a_value_that_no_text_can_be_made_of_costs_its_neighbours_nothing(tmp_path: Path) -> None:
    raw = pa.array([b"a", b"\xff", b"c"])
    texts = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    found = [*read_file(written(tmp_path, {"x": texts}), "p", field(*TEXT))]
    assert [isinstance(each, InvalidRow) for each in found] == [False, True, False]
    assert "row 2: x: is not UTF-8" in str(found[1])


NESTED = schema(
    '[fields.iban]\ntype = "text"\npath = "debtor.account.iban"',
    '[fields.value]\ntype = "number"\npath = "tx[0].value"\noptional = true\ncolumns = ["V"]',
)
PATHS = ("debtor.account.iban", "tx[0].value")


def ibans(found: Sequence[Any]) -> list[Any]:
    return [
        str(each).partition(", ")[2]
        if isinstance(each, InvalidRow)
        else (each.transaction_id, each.iban, each.value)
        for each in found
    ]


def test_nested_columns_are_read_as_messages_are(tmp_path: Path) -> None:
    debtor = [{"account": {"iban": "DE1"}}] * 4 + [None]
    path = written(
        tmp_path, {"debtor": debtor, "tx": [[{"value": 1.5}], None, [], [{"value": None}], None]}
    )
    assert ibans([*read_file(path, "p", NESTED)]) == [
        ("p-1", "DE1", 1.5),
        ("p-2", "DE1", None),
        "row 3: tx[0].value: tx[0] must be an array of exactly one item",
        ("p-4", "DE1", None),
        "row 5: debtor.account.iban: must be in an object, not in None",
    ]


@pytest.mark.parametrize("names", [("iban", "value"), PATHS, ("iban", "V")])
def test_a_column_is_named_as_its_field_by_its_path_or_otherwise(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    columns = {"transaction_id": ["a"], names[0]: ["DE1"], names[1]: [1.5], "other": [b"x"]}
    assert ibans([*read_file(written(tmp_path, columns), "p", NESTED)]) == [("a", "DE1", 1.5)]


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"value": [1.0]}, "column iban is missing; needed are iban"),
        (
            {"Iban": ["a"]},
            "column iban is missing; needed are iban; 'Iban' is no column of a transaction",
        ),
        ({"iban": ["a"], "V": [1.0], "value": [1.0]}, "column value is there twice"),
        ({"iban": [b"a"]}, "column iban has Parquet's type binary, which is not read"),
        ({"iban": [time(1, 2)]}, "column iban has Parquet's type time64[us], which is not read"),
        ({"debtor": [{"account": ["a"]}]}, "column iban is missing"),
    ],
)
def test_columns_that_are_not_those_of_the_schema_are_refused(
    tmp_path: Path, columns: dict[str, Any], words: str
) -> None:
    with pytest.raises(UnreadableFile) as caught:
        [*read_file(written(tmp_path, columns), "p", NESTED)]
    assert f"a.parquet: {words}" in str(caught.value)


def test_a_file_without_any_known_column_has_as_many_rows(tmp_path: Path) -> None:
    found = [*rows(written(tmp_path, {"other": [1, 2, 3]}), [], NESTED)]
    assert [(each.number, each.line) for each in found] == [(1, 0), (2, 0), (3, 0)]


def sentence(path: Path) -> str:
    with pytest.raises(UnreadableFile) as caught:
        [*read_file(path, "p", NESTED)]
    assert str(caught.value).isprintable()
    return str(caught.value)


def test_a_file_that_is_damaged_or_something_else_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, {"iban": [f"DE{n}" for n in range(20_000)]})
    whole = path.read_bytes()
    for content in (b"", b"PAR1", b"iban\nDE1\n", whole[:-9], whole[:5_000]):
        path.write_bytes(content)
        assert "a.parquet: is no Parquet, or it is damaged or cut off (" in sentence(path)
    path.write_bytes(whole[:4] + bytes(5_000) + whole[5_004:])
    assert "a.parquet, behind row 0: is no Parquet, or it is damaged" in sentence(path)


class Keys(encryption.KmsClient):  # type: ignore[misc]
    """A key store that hides nothing."""

    def wrap_key(self, key: bytes, name: str) -> bytes:
        return base64.b64encode(key)

    def unwrap_key(self, wrapped: bytes, name: str) -> bytes:
        return base64.b64decode(wrapped)


@pytest.mark.parametrize("is_footer_plain", [False, True])
def test_an_encrypted_file_is_said_to_be_so(tmp_path: Path, is_footer_plain: bool) -> None:
    how = encryption.EncryptionConfiguration(
        footer_key="a", column_keys={"b": ["iban"]}, plaintext_footer=is_footer_plain
    )
    factory = encryption.CryptoFactory(lambda _: Keys())
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), how)
    path = tmp_path / "a.parquet"
    table = pa.table({"iban": ["DE1"]})
    with pq.ParquetWriter(path, table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    assert "is encrypted" in sentence(path)


def test_absent_files_folders_and_pipes_are_refused(tmp_path: Path) -> None:
    assert "absent.pq cannot be read: No such file" in sentence(tmp_path / "absent.pq")
    folder = tmp_path / "folder.parquet"
    folder.mkdir()
    assert "folder.parquet cannot be read: Is a directory" in sentence(folder)
    pipe = tmp_path / "pipe.parquet"
    os.mkfifo(pipe)
    keeper = os.open(pipe, os.O_RDWR)
    try:
        assert "pipe.parquet" in sentence(pipe)
    finally:
        os.close(keeper)


def test_parquet_is_not_read_from_the_standard_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = written(tmp_path, {"iban": ["a"]}).read_bytes()
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(content)))
    assert sentence(Path("-")).startswith("standard input is Parquet: give it as a file")


def test_without_pyarrow_the_sentence_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, {"iban": ["a"]})
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    assert sentence(path).endswith(
        "a.parquet is Parquet, which needs pyarrow; pip install 'fraudapp[parquet]'"
    )


def test_a_file_of_one_large_row_group_is_not_held_in_memory(tmp_path: Path) -> None:
    count = 200_000
    path = tmp_path / "a.parquet"
    table = pa.table({"amount": [n / 7 for n in range(count)], "iban": ["DE1"] * count})
    pq.write_table(table, path, row_group_size=count, compression="none", use_dictionary=False)
    size = path.stat().st_size
    del table
    before, most = pa.total_allocated_bytes(), 0
    for number, _ in enumerate(rows(path, ["iban"], NESTED)):
        if number % parquet.BATCH_ROWS == 0:
            most = max(most, pa.total_allocated_bytes() - before)
    assert number + 1 == count
    assert most < size / 3


def test_training_reads_parquet_as_it_reads_csv(tmp_path: Path, small_frame: pd.DataFrame) -> None:
    frame = small_frame.head(2_000)
    frame.to_csv(tmp_path / "a.csv", index=False)
    frame.to_parquet(tmp_path / "a.parquet")
    one, other = labelled(tmp_path / "a.csv"), labelled(tmp_path / "a.parquet")
    assert (one.matrix == other.matrix).all()
    assert (one.fraud == other.fraud).all()
    frame.assign(type=["LOAN", *frame["type"][1:]]).to_parquet(tmp_path / "b.pq")
    with pytest.raises(TrainingDataError, match="row 1: type: invalid enum value 'LOAN'"):
        labelled(tmp_path / "b.pq", schema=PAYSIM)


def test_the_stem_of_a_file_is_without_its_suffix() -> None:
    assert stem(Path("x/rows.parquet")) == stem(Path("rows.PQ")) == "rows"
