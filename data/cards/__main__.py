"""The command that writes card transactions to a file.

The suffix of the file says what it holds: CSV, or JSON lines.

    python -m data.cards --seed 20 --days 90 --out cards.csv
    python -m data.cards --rows 1_000_000 --out cards.jsonl
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace

from data import command_line
from data.cards.generator import WRITERS
from data.cards.plan import Plan


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; see the module's docstring."""
    plan = Plan()
    parser = command_line.parser(
        "data.cards",
        "Generate card transactions as CSV or JSON lines.",
        plan,
        "file; its suffix says CSV or JSON lines",
    )
    parser.add_argument(
        "--rows", type=int, help=f"about how many; without, {plan.customers} customers make them"
    )
    given = parser.parse_args(arguments)
    write = WRITERS.get(given.out.suffix.lower())
    if write is None:
        parser.error(f"--out {given.out}: the name must end in one of {', '.join(WRITERS)}")
    command_line.write(parser, given.out, lambda: write(_plan(given), given.out))


def _plan(given: argparse.Namespace) -> Plan:
    """Return the plan that is asked for; raises `ValueError` if there is none such."""
    if given.rows is not None:
        return Plan.for_rows(given.rows, given.days, seed=given.seed, start=given.start)
    return replace(Plan(), seed=given.seed, days=given.days, start=given.start)


if __name__ == "__main__":
    main()
