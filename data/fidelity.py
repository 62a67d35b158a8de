"""Compares the distributions of generated and real transactions, column by column.

    python -m data.fidelity REAL.csv [--generated data/transactions.csv]

Without `--generated` a fresh sample with all knobs off is compared. That is the fair comparison,
since the knobs are meant to depart from PaySim.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from data.generator import Row, generate
from data.plan import PAYSIM, Plan

MONEY = ("amount", "oldbalanceOrg", "newbalanceOrig", "oldbalanceDest", "newbalanceDest")
TYPES = ("CASH_IN", "CASH_OUT", "DEBIT", "PAYMENT", "TRANSFER")


class Line(NamedTuple):
    """The comparison of one column in one group of rows."""

    group: str
    column: str
    distance: float
    """Kolmogorov-Smirnov distance of all values, from 0 (equal) to 1 (disjoint)."""
    real_zero: float
    generated_zero: float
    """Share of zeros."""
    real_median: float
    generated_median: float
    """Median of the values above zero; NaN if there are none."""


def compare(real: pd.DataFrame, generated: pd.DataFrame) -> list[Line]:
    """Compare each money column of each type, legitimate and fraudulent.

    Groups with less than 30 rows on either side are left out.
    """
    lines = []
    for fraud in (0, 1):
        for kind in TYPES:
            chosen = [
                frame[(frame["type"] == kind) & (frame["isFraud"] == fraud)]
                for frame in (real, generated)
            ]
            if min(map(len, chosen)) < 30:
                continue
            for column in MONEY:
                pair = [part[column].to_numpy(dtype=np.float64) for part in chosen]
                lines.append(_line(f"{kind} {'fraud' if fraud else 'legitimate'}", column, *pair))
    return lines


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return the two-sample Kolmogorov-Smirnov distance: the largest gap between distributions."""
    every = np.concatenate([one, other])
    below = [
        np.searchsorted(np.sort(part), every, side="right") / len(part) for part in (one, other)
    ]
    return float(np.abs(below[0] - below[1]).max())


def _line(group: str, column: str, real: np.ndarray, generated: np.ndarray) -> Line:
    def median(values: np.ndarray) -> float:
        return float(np.median(values[values > 0])) if (values > 0).any() else float("nan")

    return Line(
        group,
        column,
        distance(real, generated),
        float((real == 0).mean()),
        float((generated == 0).mean()),
        median(real),
        median(generated),
    )


def report(real: pd.DataFrame, generated: pd.DataFrame) -> str:
    """Return the comparison as a Markdown table."""
    rows = [
        "| rows | column | KS distance | zeros: real | generated | median > 0: real | generated |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    rows += [
        f"| {line.group} | {line.column} | {line.distance:.2f} | {line.real_zero:.2f} "
        f"| {line.generated_zero:.2f} | {line.real_median:,.0f} | {line.generated_median:,.0f} |"
        for line in compare(real, generated)
    ]
    return "\n".join(rows)


def main() -> None:
    """Run the command line; see the module's docstring."""
    parser = argparse.ArgumentParser(description="Compare generated transactions with real ones.")
    parser.add_argument("real", type=Path)
    parser.add_argument("--generated", type=Path, help="CSV file; default: a fresh sample")
    given = parser.parse_args()
    if given.generated:
        generated = pd.read_csv(given.generated)
    else:
        rows = generate(Plan(rows=100_000, fraud_rate=0.01, knobs=PAYSIM))
        generated = pd.DataFrame(rows, columns=list(Row._fields))
    parser.exit(message=report(pd.read_csv(given.real), generated) + "\n")


if __name__ == "__main__":
    main()
