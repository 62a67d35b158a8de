"""The command that writes card transactions to a file.

The suffix of the file says what it holds: CSV, or JSON lines.

    python -m data.cards --seed 20 --days 90 --out cards.csv
    python -m data.cards --rows 1_000_000 --out cards.jsonl
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path

from data.cards.generator import WRITERS
from data.cards.plan import Plan


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; see the module's docstring."""
    parser = _parser()
    given = parser.parse_args(arguments)
    write = WRITERS.get(given.out.suffix.lower())
    if write is None:
        parser.error(f"--out {given.out}: the name must end in one of {', '.join(WRITERS)}")
    try:
        count = write(_plan(given), given.out)
    except ValueError as exc:
        parser.error(str(exc))
    except OSError as exc:
        parser.error(f"--out {given.out}: {exc.strerror or exc}; name a file that can be written")
    parser.exit(message=f"{count} rows written to {given.out}\n")


def _parser() -> argparse.ArgumentParser:
    plan = Plan()
    parser = argparse.ArgumentParser(
        prog="python -m data.cards", description="Generate card transactions as CSV or JSON lines."
    )
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument(
        "--rows", type=int, help=f"about how many; without, {plan.customers} customers make them"
    )
    parser.add_argument("--days", type=int, default=plan.days, help="days of simulation")
    parser.add_argument("--start", type=_day, default=plan.start, help="first day, as YYYY-MM-DD")
    parser.add_argument(
        "--out", type=Path, required=True, help="file; its suffix says CSV or JSON lines"
    )
    return parser


def _plan(given: argparse.Namespace) -> Plan:
    """Return the plan that is asked for; raises `ValueError` if there is none such."""
    if given.rows is not None:
        return Plan.for_rows(given.rows, given.days, seed=given.seed, start=given.start)
    return replace(Plan(), seed=given.seed, days=given.days, start=given.start)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2025-01-31") from exc


if __name__ == "__main__":
    main()
