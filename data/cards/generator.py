"""Card transactions as rows, and the files they are written to."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, time, timedelta, timezone
from pathlib import Path
from typing import Final, NamedTuple

from data.cards.plan import Plan
from data.cards.simulation import Cause, Day, Simulation


class Row(NamedTuple):
    """One payment by card."""

    transaction_id: str
    """Begins with the seed: files of different seeds can go to one program."""
    at: datetime
    """To the second, in UTC."""
    customer_id: str
    terminal_id: str
    amount: float
    """Account currency, the nearest number to whole cents; at least one cent."""
    is_fraud: bool
    cause: Cause
    """What made it fraud; written to no file."""


COLUMNS: Final = Row._fields[:-1]
"""The fields that are written, in their order."""


def generate(plan: Plan) -> Iterator[Row]:
    """Yield the transactions in order of time; the same plan gives the same rows."""
    customers = [f"C{number}" for number in range(1, plan.customers + 1)]
    terminals = [f"T{number}" for number in range(1, plan.terminals + 1)]
    midnight = datetime.combine(plan.start, time(), timezone.utc)
    number = 0
    for day in Simulation(plan).days():
        for second, customer, terminal, cents, cause in _payments(day):
            number += 1
            yield Row(
                f"{plan.seed}-{number:09d}",
                midnight + timedelta(seconds=second),
                customers[customer],
                terminals[terminal],
                cents / 100,
                cause != Cause.NONE,
                Cause(cause),
            )
        midnight += timedelta(days=1)


def _payments(day: Day) -> Iterator[tuple[int, int, int, int, int]]:
    columns = (day.second, day.customer, day.terminal, day.cents, day.cause)
    return zip(*(column.tolist() for column in columns), strict=True)


def write_csv(plan: Plan, path: Path) -> int:
    """Write the plan's transactions with a header line; returns the number of rows.

    Amounts have two decimals, and fraud is 1. Raises `OSError` if the file cannot be written.
    """
    return _write(plan, path, _csv_line, ",".join(COLUMNS) + "\n")


def write_json_lines(plan: Plan, path: Path) -> int:
    """Write the plan's transactions, a JSON object a line; returns the number of rows.

    Amounts are numbers, and fraud is true. Raises `OSError` if the file cannot be written.
    """
    return _write(plan, path, _json_line)


WRITERS: Final[Mapping[str, Callable[[Plan, Path], int]]] = {
    ".csv": write_csv,
    ".json": write_json_lines,
    ".jsonl": write_json_lines,
    ".ndjson": write_json_lines,
}
"""Which writer is meant by a file's suffix."""


def _write(plan: Plan, path: Path, line: Callable[[Row], str], header: str = "") -> int:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(header)
        return sum(1 for _ in map(file.write, map(line, generate(plan))))


def _csv_line(row: Row) -> str:
    # No field needs quotes: ids have letters, digits and dashes only.
    return (
        f"{row.transaction_id},{_iso(row.at)},{row.customer_id},{row.terminal_id},"
        f"{row.amount:.2f},{row.is_fraud:d}\n"
    )


def _json_line(row: Row) -> str:
    fields = dict(zip(COLUMNS, row, strict=False)) | {"at": _iso(row.at)}
    return json.dumps(fields) + "\n"


def _iso(at: datetime) -> str:
    return at.replace(tzinfo=None).isoformat() + "Z"
