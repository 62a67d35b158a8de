"""The command that writes credit transfers to a file of JSON lines.

The same seed writes the same file.

    python -m data.pacs008 --seed 20 --rows 30_000 --out transfers.jsonl
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from data.pacs008.generator import write_json_lines
from data.pacs008.plan import Plan


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; see the module's docstring."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        plan = Plan(given.seed, given.rows, given.days, given.start, given.fraud_rate)
        count = write_json_lines(plan, given.out)
    except ValueError as exc:
        parser.error(str(exc))
    except OSError as exc:
        parser.error(f"--out {given.out}: {exc.strerror or exc}; name a file that can be written")
    parser.exit(message=f"{count} rows written to {given.out}\n")


def _parser() -> argparse.ArgumentParser:
    plan = Plan()
    parser = argparse.ArgumentParser(
        prog="python -m data.pacs008", description="Generate credit transfers as JSON lines."
    )
    parser.add_argument("--seed", type=int, default=plan.seed)
    parser.add_argument("--rows", type=int, default=plan.rows)
    parser.add_argument("--days", type=int, default=plan.days, help="days of simulation")
    parser.add_argument("--start", type=_day, default=plan.start, help="first day, as YYYY-MM-DD")
    parser.add_argument(
        "--fraud-rate", type=float, default=plan.fraud_rate, help="share of the rows"
    )
    parser.add_argument("--out", type=Path, required=True, help="file of JSON lines")
    return parser


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2025-01-31") from exc


if __name__ == "__main__":
    main()
