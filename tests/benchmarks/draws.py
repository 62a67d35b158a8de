"""How much the luck of the generator's draw matters: a model for each draw, on the same rows.

    python -m tests.benchmarks.draws [--draws 20-23] [--evasive 0.25] [FILE --weight-legit W]

All models are judged on another draw, or on a file of labelled rows. The worst draw says more of a
way to train than the mean: whoever trains has one draw.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import click
import pandas as pd

from data.generator import Row, generate
from data.plan import Plan
from models.schema.schema import PAYSIM
from models.scorer import Scorer
from models.training.dataset import Labelled, labelled
from models.training.evasion import PARTS, evasion, payments
from models.training.hardening import EVASIVE
from models.training.metrics import metrics
from models.training.train import train
from tests.benchmarks.frontier import NEAR

JUDGED: Final = Plan(seed=77, rows=300_000)
WORST_IS_MOST: Final = ("money missed", "Σp/Σy")


def judged(draw: int, evasive: float, rows: Labelled) -> dict[str, float]:
    """Train on a draw, and return what is told of the model, by name."""
    sample = pd.DataFrame(generate(Plan(seed=draw)), columns=list(Row._fields))
    model = train(sample, evasive=evasive).model
    scorer = Scorer("", model.body.compiled(len(PAYSIM.features.names)))
    told = metrics(rows, scorer.score_matrix(rows.matrix))
    ways = {each.way: each.blocked for each in evasion(payments(rows), rows.fraud, scorer)}
    return {
        "AP": told["average_precision"],
        "precision at .8": told["precision_block"],
        "recall at .8": told["recall_block"],
        "money missed": told["money_missed"] / (told["money_missed"] + told["money_blocked"]),
        "Σp/Σy": told["sum_p_over_sum_y"],
        "takes 90 % or more": statistics.fmean(ways[name] for name in NEAR),
        PARTS: ways[PARTS],
    }


def table(found: Mapping[int, Mapping[str, float]]) -> str:
    """Return a row for each draw, the mean and the worst, as Markdown."""
    names = list(next(iter(found.values())))
    columns = {name: [each[name] for each in found.values()] for name in names}
    mean = {name: statistics.fmean(column) for name, column in columns.items()}
    worst = {
        name: max(column) if name in WORST_IS_MOST else min(column)
        for name, column in columns.items()
    }
    lines = [f"| draw | {' | '.join(names)} |", "|" + " --- |" * (len(names) + 1)]
    rows = [*found.items(), ("mean", mean), ("worst", worst)]
    for draw, each in rows:
        lines.append(f"| {draw} | " + " | ".join(f"{each[name]:.3f}" for name in names) + " |")
    return "\n".join(lines)


@click.command()
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True))
@click.option("--weight-legit", type=float, default=1.0, show_default=True)
@click.option("--draws", default="20-23", show_default=True, help="Seeds: the first and the last.")
@click.option("--evasive", type=float, default=EVASIVE, show_default=True)
def main(file: Path | None, weight_legit: float, draws: str, evasive: float) -> None:
    """Print the table, judged on another draw, or on FILE."""
    first, last = map(int, draws.split("-"))
    made = file or pd.DataFrame(generate(JUDGED), columns=list(Row._fields))
    rows = labelled(made, weight_legit)
    click.echo(table({draw: judged(draw, evasive, rows) for draw in range(first, last + 1)}))


if __name__ == "__main__":
    main()
