"""What the commands of the generators share: their options, and how they end."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Protocol


class Period(Protocol):
    """What every plan has, with its defaults."""

    @property
    def seed(self) -> int:
        """Of the random numbers."""

    @property
    def days(self) -> int:
        """How many are simulated."""

    @property
    def start(self) -> date:
        """The first of them."""


def parser(module: str, description: str, plan: Period, out: str) -> argparse.ArgumentParser:
    """Return a parser with the options of every generator; `out` says what the file is."""
    made = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    made.add_argument("--seed", type=int, default=plan.seed)
    made.add_argument("--days", type=int, default=plan.days, help="days of simulation")
    made.add_argument("--start", type=_day, default=plan.start, help="first day, as YYYY-MM-DD")
    made.add_argument("--out", type=Path, required=True, help=out)
    return made


def write(parser: argparse.ArgumentParser, out: Path, making: Callable[[], int]) -> None:
    """Make the file, and end with the number of its rows, or with what is wrong."""
    try:
        count = making()
    except ValueError as exc:
        parser.error(str(exc))
    except OSError as exc:
        parser.error(f"--out {out}: {exc.strerror or exc}; name a file that can be written")
    parser.exit(message=f"{count} rows written to {out}\n")


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as exc:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day such as 2025-01-31") from exc
