"""Rows are read as they are in the file, or reported with line and reason."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cramjam
import msgspec
import pytest

from fraudapp.cli.transaction_files import InvalidRow, read_file
from models.errors import TrainingDataError
from models.files import lines
from models.files.rows import UnreadableFile, stem
from models.records import Transaction
from models.training.dataset import labelled
from tests.support.transactions import transaction

NAMES = (
    "step,type,amount,nameOrig,oldbalanceOrg,newbalanceOrig,"
    "nameDest,oldbalanceDest,newbalanceDest,isFraud,isFlaggedFraud"
)
GOOD = "1,TRANSFER,19384.72,C1,19384.72,0.0,C2,0.0,0.0,0,1"
AMOUNT_LAST = (
    "step,type,nameOrig,oldbalanceOrg,newbalanceOrig,"
    "nameDest,oldbalanceDest,newbalanceDest,isFraud,amount"
)
EXPECTED = transaction(
    "p-1", amount=19384.72, oldbalanceOrg=19384.72, newbalanceOrig=0.0, isFlaggedFraud=1
)
Packer = Callable[[bytes], bytes]
encoded = msgspec.json.encode
PACKERS: list[Packer] = [
    gzip.compress,
    bz2.compress,
    lzma.compress,
    lambda raw: bytes(cramjam.zstd.compress(raw)),
]


def zipped(**files: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return packed.getvalue()


def write(tmp_path: Path, content: str | bytes, name: str = "b.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(tmp_path: Path, content: str | bytes, name: str = "a.csv") -> list[Any]:
    return list(read_file(write(tmp_path, content, name), "p"))


def sentence(found: list[Any]) -> str:
    """Read the only row of a file, which is bad."""
    (row,) = found
    assert isinstance(row, InvalidRow), row
    return str(row)


@pytest.mark.parametrize("quoted", [False, True])
def test_wherever_a_file_is_cut_off_nothing_wrong_is_sent(tmp_path: Path, quoted: bool) -> None:
    row = ",".join(f'"{cell}"' for cell in GOOD.split(",")) if quoted else GOOD
    for length in range(1, len(row) + 1):
        found = read(tmp_path, f"{NAMES}\n{row[:length]}")
        if length < len(row):
            assert "line 2, row 1: " in sentence(found)
        else:
            assert found == [EXPECTED]


def test_an_amount_at_the_end_of_a_file_without_a_line_end_may_be_cut_off(tmp_path: Path) -> None:
    row = "1,TRANSFER,C1,0,0,C2,0,0,0,"
    assert "'193' may be cut off" in sentence(read(tmp_path, f"{AMOUNT_LAST}\n{row}193"))
    assert read(tmp_path, f"{AMOUNT_LAST}\n{row}193\n") == [
        transaction("p-1", amount=193.0, oldbalanceOrg=0.0)
    ]
    assert len(read(tmp_path, f'{AMOUNT_LAST}\n{row}"193"')) == 1
    with pytest.raises(TrainingDataError, match="'193' may be cut off"):
        labelled(write(tmp_path, f"{AMOUNT_LAST}\n{row}193"))


@pytest.mark.parametrize("line", [encoded(transaction("t")).decode() + "\n", f"{NAMES}\n{GOOD}\n"])
@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
def test_a_byte_order_mark_costs_nothing(
    tmp_path: Path, line: str, mark: bytes, encoding: str
) -> None:
    for name in ("a.csv" if line.startswith("step") else "a.jsonl", "a.txt"):
        (row,) = read(tmp_path, mark + line.encode(encoding), name)
        assert isinstance(row, Transaction)


@pytest.mark.parametrize("pack", PACKERS)
def test_a_packed_file_is_known_by_what_is_in_it(tmp_path: Path, pack: Packer) -> None:
    packed = pack(f"{NAMES}\n{GOOD}\n".encode())
    for name in ("a.csv", "a.csv.gz", "a.bz2", "a"):
        assert read(tmp_path, packed, name) == [EXPECTED]
    training = f"{NAMES}\n{GOOD}\n{GOOD.replace(',0,1', ',1,1')}\n"
    assert labelled(write(tmp_path, pack(training.encode()))).fraud.tolist() == [False, True]
    assert stem(Path("x/rows.csv.GZ")) == stem(Path("rows.csv")) == "rows"


@pytest.mark.parametrize("pack", PACKERS)
def test_a_packed_file_that_is_cut_off_is_reported(tmp_path: Path, pack: Packer) -> None:
    packed = pack((f"{NAMES}\n" + f"{GOOD}\n" * 9).encode())
    with pytest.raises(UnreadableFile, match=r"a\.csv, line \d+: .* damaged or cut off"):
        read(tmp_path, packed[:-6])
    with pytest.raises(TrainingDataError, match="damaged or cut off"):
        labelled(write(tmp_path, packed[:-6]))


@pytest.mark.parametrize("pack", PACKERS)
def test_streams_one_behind_the_other_are_all_read_or_the_damage_is_reported(
    tmp_path: Path, pack: Packer
) -> None:
    first, second = pack(f"{NAMES}\n{GOOD}\n".encode()), pack(f"{GOOD}\n".encode() * 9)
    assert len(read(tmp_path, first + second)) == 10
    begins, middle = second[:4], len(second) // 2
    flipped = second[:middle] + bytes([second[middle] ^ 0xFF]) + second[middle + 1 :]
    if begins == b"\x28\xb5\x2f\xfd":  # which has no checksum, as it is packed here
        flipped = second[:middle]
    for behind in (
        second[:-6],
        flipped,
        begins + b"\xff" * 60,
        pack(b"")[:4],
        b"junk",
        (gzip.compress if begins[:3] == b"BZh" else bz2.compress)(b"x"),
    ):
        with pytest.raises(UnreadableFile, match="damaged or cut off"):
            read(tmp_path, first + behind)


def test_a_zip_archive_of_one_file_is_read(tmp_path: Path) -> None:
    packed = zipped(a=f"{NAMES}\n{GOOD}\n".encode())
    assert read(tmp_path, packed, "a.csv.zip") == [EXPECTED]
    assert stem(Path("rows.csv.zip")) == "rows"
    flipped = packed[:50] + bytes([packed[50] ^ 0xFF]) + packed[51:]
    with pytest.raises(UnreadableFile, match="damaged or cut off"):
        read(tmp_path, flipped, "a.csv.zip")


def test_a_zip_archive_is_not_read_from_the_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    class Pipe(io.BytesIO):
        def seekable(self) -> bool:
            return False

    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(Pipe(zipped(a=b"x"))))
    with pytest.raises(UnreadableFile, match="standard input is a zip archive, which is not read"):
        list(read_file(Path("-"), "p"))


@pytest.mark.parametrize("padding", [4, 8, 1 << 18])
def test_xz_may_have_padding_in_fours(tmp_path: Path, padding: int) -> None:
    first, second = (lzma.compress(each.encode()) for each in (f"{NAMES}\n", f"{GOOD}\n"))
    packed = first + bytes(padding) + second
    assert read(tmp_path, packed) == read(tmp_path, packed + bytes(padding)) == [EXPECTED]
    for wrong in (first + bytes(padding + 1) + second, packed + bytes(padding - 1)):
        with pytest.raises(UnreadableFile, match="damaged or cut off"):
            read(tmp_path, wrong)


@pytest.mark.parametrize("empty", ["", '""'])
def test_empty_optional_cells_are_absent(tmp_path: Path, empty: str) -> None:
    text = f"transaction_id,{NAMES}\n{empty},{GOOD[:-3]}{empty},{empty}\n"
    (row,) = read(tmp_path, text)
    assert (row.transaction_id, row.isFraud, row.isFlaggedFraud) == ("p-1", 0, 0)
    line = encoded(transaction("t")).replace(b'"isFraud":0', b'"isFraud":null')
    assert read(tmp_path, line, "a.jsonl") == [transaction("t")]


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (GOOD[:-2], "has 10 cells where the header has 11"),
        (GOOD + ",", "has 12 cells"),
        (GOOD.replace("19384.72", "19384,72"), "has 13 cells"),
        (GOOD.replace("C1", '"C1'), "a quote does not end on its line"),
        (GOOD.replace("C1", '"C"1'), "not valid CSV"),
        (GOOD.replace("19384.72,C", ",C"), "amount: is empty"),
        (GOOD.replace("19384.72", "0x10"), "amount: '0x10' is not a number"),
        (GOOD.replace("C1", "C\0"), "row 2"),
        (GOOD.replace("TRANSFER", " TRANSFER"), "type: "),
        ("," * 10, "step: is empty"),
        ("step", "has 1 cells"),
        (NAMES, "step: 'step' is not a number"),
    ],
)
def test_a_wrong_row_is_reported_by_line_and_its_neighbours_are_read(
    tmp_path: Path, row: str, problem: str
) -> None:
    first, second, third = read(tmp_path, f"{NAMES}\r\n\r\n{GOOD}\r\n{row}\r\n{GOOD}\r\n")
    assert first == EXPECTED
    assert "a.csv, line 4, row 2: " in str(second)
    assert problem in str(second)
    assert third.transaction_id == "p-3"


@pytest.mark.parametrize(
    ("header", "problem"),
    [
        (NAMES.replace("amount", "Amount"), "'Amount' is no column of a transaction: write amount"),
        (NAMES.replace("step", " step"), "write step"),
        (NAMES.replace("isFlaggedFraud", "isflaggedfraud"), "write isFlaggedFraud"),
        (NAMES.replace("isFlaggedFraud", "is_flagged_fraud"), "write isFlaggedFraud"),
        (NAMES.replace("isFlaggedFraud", "isFlagedFraud"), "write isFlaggedFraud"),
        (NAMES + ",amount", "column amount is there twice"),
        (NAMES.replace("amount", "x"), "column amount is missing"),
        (
            NAMES.replace("amount", "x").replace(",", ";"),
            "column amount is missing; needed are",
        ),
        (GOOD, "is missing"),
        (NAMES.replace("amount", '"amount'), "a quote does not end"),
        (NAMES.encode("utf-16-le").decode(), "NUL"),
    ],
)
def test_a_header_that_is_nearly_right_is_refused_by_every_command(
    tmp_path: Path, header: str, problem: str
) -> None:
    text = f"{header}\n{GOOD}\n"
    with pytest.raises(UnreadableFile, match=r"a\.csv: ") as caught:
        read(tmp_path, text)
    assert problem in str(caught.value)
    with pytest.raises(TrainingDataError) as of_training:
        labelled(write(tmp_path, text))
    assert problem.partition(" is missing")[0] in str(of_training.value)


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_cells_may_be_separated_otherwise_than_by_commas(tmp_path: Path, separator: str) -> None:
    text = f"{NAMES},note\n{GOOD},x\n".replace(",", separator)
    assert read(tmp_path, text) == [EXPECTED]


@pytest.mark.parametrize("separator", ["^", ":", " "])
def test_a_header_that_nothing_separates_is_told_what_may(tmp_path: Path, separator: str) -> None:
    text = f"{NAMES}\n{GOOD}\n".replace(",", separator)
    with pytest.raises(
        UnreadableFile, match=r"is missing; needed are .*; the header has no commas, "
    ):
        read(tmp_path, text)


@pytest.mark.parametrize("separator", [",", ";"])
def test_every_cell_may_be_quoted(tmp_path: Path, separator: str) -> None:
    text = "".join(
        separator.join(f'"{cell}"' for cell in line.split(",")) + "\n" for line in (NAMES, GOOD)
    )
    assert read(tmp_path, text) == [EXPECTED]
    numbered = f'"",{NAMES}\n"1",{GOOD}\n'  # as R writes the numbers of rows
    assert read(tmp_path, numbered) == [EXPECTED]


def test_a_decimal_comma_is_named_where_cells_are_separated_by_semicolons(tmp_path: Path) -> None:
    row = GOOD.replace(",", ";").replace(".", ",")
    (found,) = read(tmp_path, f"{NAMES.replace(',', ';')}\n{row}\n")
    assert "write a decimal point" in str(found)


def test_other_columns_are_not_read(tmp_path: Path) -> None:
    text = f",{NAMES},note,\n0,{GOOD},\x1b[2J,x\n"
    assert read(tmp_path, text) == [EXPECTED]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"amount":1,"amount":2}', "amount: is given twice"),
        ('{"amount":1,"\\u0061mount":2}', "amount: is given twice"),
        ('{"Amount":1}', "'Amount' is no column of a transaction: write amount"),
        ('{"amount":"1"}', "amount: must be a number, got '1'"),
        ('{"amount":true}', "amount: must be a number, got True"),
        ('{"amount":1', "not valid JSON"),
        ('\ufeff{"amount":1}', "not valid JSON"),
        ("step,type", "not valid JSON"),
        ("[" * 5_000, "not valid JSON"),
    ],
)
def test_a_wrong_line_of_json_is_reported(tmp_path: Path, line: str, problem: str) -> None:
    good = encoded(transaction("t")).decode()
    first, second, third = read(tmp_path, f"{good}\n\n{line}\n{good}", "a.jsonl")
    assert first == third == transaction("t")
    assert "a.jsonl, line 3, row 2: " in str(second)
    assert problem in str(second)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"PK\x03\x04xl", "damaged or cut off"),
        (zipped(a=b"", b=b""), "a spreadsheet, or a zip archive that does not hold exactly one"),
        (b"PAR1rest", "Parquet: give it as a file, not packed, whose name ends with .parquet"),
        (gzip.compress(b"PAR1rest", mtime=0), "Parquet: give it as a file, not packed"),
        (bytes(257) + b"ustar", "a tar archive: unpack it"),
        (gzip.compress(bytes(257) + b"ustar", mtime=0), "a tar archive: unpack it"),
        (b"[\n{}]", "one JSON array"),
        (codecs.BOM_UTF16_LE + b"s\0t", "is not UTF-16"),
        (b"\x1f\x8bno gzip", "damaged"),
    ],
)
def test_what_is_no_text_is_refused_with_its_name(
    tmp_path: Path, content: bytes, problem: str
) -> None:
    with pytest.raises(UnreadableFile, match=problem):
        read(tmp_path, content, "a.txt")


def test_a_line_without_end_is_not_held_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MAX_LINE_CHARACTERS", 1_000)
    text = f"{NAMES}\n{GOOD.replace('C1', 'C' * 9_000)}\n{GOOD}\n"
    first, second = read(tmp_path, text)
    assert "row 1: the line is too long" in str(first)
    assert second.transaction_id == "p-2"


def test_what_a_terminal_would_obey_is_escaped(tmp_path: Path) -> None:
    path = tmp_path / "\x1b[2J.jsonl"
    path.write_text('{"type":"\x1b[2J"}\n{"\x1b]0;x":1,"type":"\u202e"}\n')
    assert all(str(row).isprintable() for row in read_file(path, "p"))


def test_absent_files_and_folders_are_refused(tmp_path: Path) -> None:
    for path, problem in ((tmp_path / "absent.csv", "No such file"), (tmp_path, "directory")):
        with pytest.raises(UnreadableFile, match=f"cannot be read: .*{problem}"):
            list(read_file(path, "p"))


def test_the_standard_input_is_read_like_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    raw = io.BytesIO(gzip.compress(f"{NAMES}\n{GOOD}\n".encode()))
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(raw))
    assert list(read_file(Path("-"), "p")) == [EXPECTED]
    assert not raw.closed


def test_training_reads_json_lines_and_tells_lines(tmp_path: Path) -> None:
    fraud = transaction("a", isFraud=1)
    content = encoded(fraud) + b"\n" + encoded(transaction("b")) + b"\n"
    assert labelled(write(tmp_path, content, "a.jsonl")).fraud.tolist() == [True, False]
    bad = f"{NAMES}\n\n{GOOD}\n{GOOD.replace('TRANSFER', 'LOAN')}\n"
    with pytest.raises(TrainingDataError, match="line 4, row 2: type: invalid enum value 'LOAN'"):
        labelled(write(tmp_path, bad))
    bad = f"{NAMES}\n{GOOD}x\n{GOOD}\n{GOOD},\n"
    with pytest.raises(TrainingDataError, match=r"line 2, row 1: isFlaggedFraud: .*; 1 more rows"):
        labelled(write(tmp_path, bad))
