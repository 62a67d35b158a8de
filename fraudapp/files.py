"""Transactions from files: CSV with PaySim's columns, or JSON lines."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from models.parsing import UNREADABLE, InvalidTransaction, from_mapping
from models.records import FieldError, Transaction

_decode = msgspec.json.Decoder().decode


class InvalidRow(ValueError):
    """A row that is no transaction; the message says which, and why."""


def read_file(path: Path, id_prefix: str) -> Iterator[Transaction | InvalidRow]:
    """Yield what each row holds: a transaction, or what is wrong with it.

    Rows without `transaction_id` get `PREFIX-ROW`, with rows counted from 1.
    """
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path)
    for number, fields in enumerate(rows, start=1):
        try:
            yield _transaction(fields, f"{id_prefix}-{number}")
        except InvalidTransaction as exc:
            yield InvalidRow(f"{path}, row {number}: {exc}")


def _transaction(fields: dict[str, Any] | InvalidTransaction, default_id: str) -> Transaction:
    if isinstance(fields, InvalidTransaction):
        raise fields
    fields.setdefault("transaction_id", default_id)
    return from_mapping(fields)


def _json_rows(path: Path) -> Iterator[dict[str, Any] | InvalidTransaction]:
    with path.open("rb") as file:
        for line in file:
            if line.isspace():
                continue
            try:
                fields = _decode(line)
            except UNREADABLE as exc:
                yield InvalidTransaction([FieldError("", f"not valid JSON: {exc}")])
                continue
            if isinstance(fields, dict):
                yield fields
            else:
                yield InvalidTransaction([FieldError("", "must be a JSON object")])


def _csv_rows(path: Path) -> Iterator[dict[str, Any] | InvalidTransaction]:
    # utf-8-sig: spreadsheets write a byte order mark. Bytes that are not UTF-8 become surrogates,
    # which no valid text has.
    with path.open(newline="", encoding="utf-8-sig", errors="surrogateescape") as file:
        rows = csv.DictReader(file)
        while True:
            try:
                row = next(rows)
            except StopIteration:
                return
            except csv.Error as exc:
                yield InvalidTransaction([FieldError("", f"not valid CSV: {exc}")])
                continue
            yield _typed({name: text for name, text in row.items() if name and text is not None})


def _typed(row: dict[str, str]) -> dict[str, Any] | InvalidTransaction:
    # CSV has no types: the columns that hold numbers are read as JSON would write them.
    fields: dict[str, Any] = dict(row)
    errors = [FieldError(name, "is not UTF-8") for name, text in row.items() if not _is_utf8(text)]
    for name, read in _NUMBERS.items():
        if name in row:
            try:
                fields[name] = read(row[name])
            except UNREADABLE:
                errors.append(FieldError(name, f"{row[name][:64]!r} is not a number"))
    return InvalidTransaction(errors) if errors else fields


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _number(text: str) -> Any:
    return _decode(text.strip())


def _whole_number(text: str) -> Any:
    number = _number(text)
    # pandas writes 1.0 for a column of integers that had a gap.
    return int(number) if isinstance(number, float) and number.is_integer() else number


_NUMBERS: dict[str, Callable[[str], Any]] = {
    **dict.fromkeys(("step", "isFraud", "isFlaggedFraud"), _whole_number),
    **dict.fromkeys(
        (
            "amount",
            "oldbalanceOrg",
            "newbalanceOrig",
            "oldbalanceDest",
            "newbalanceDest",
        ),
        _number,
    ),
}
