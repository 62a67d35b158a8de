"""What thieves who know the model cost honest people: a table and a plot for shares of `--evasive`.

    python -m tests.benchmarks.frontier [--shares 0,0.5] [--plot .github/images/frontier.png]

A model is trained on the sample for each number of thieves who know it, to one who does not, and
judged on another draw of the generator. There, a quarter of the thieves know the model: they do
each of the ways of `models.training.evasion` equally often. A missed fraud costs its amount,
and a blocked honest payment `ALARM`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import numpy as np
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from data import sample_path
from data.generator import Row, generate
from data.plan import Plan
from models.schema.schema import PAYSIM
from models.scorer import Scorer
from models.training.columns import Floats
from models.training.dataset import Labelled, labelled
from models.training.evasion import PARTS, WAYS, Payments, payments, variants
from models.training.metrics import THRESHOLDS, average_precision
from models.training.train import train

KNOWING: Final = 0.25
"""Share of thieves who know the model: an assumption."""
ALARM: Final = 1_000.0
"""Cost of a blocked honest payment, account currency; the default of `fraudapp evaluate`."""
NEAR: Final = (
    "takes 99.9 %",
    "takes 95 %",
    "takes 90 %",
    "leaves 1.00",
    "balances off by 0.1 %",
    "round amounts",
    "fee of 1 % out of the balance",
)
"""Ways that take 90 % and more."""
GRID: Final = np.concatenate([np.geomspace(1e-4, 0.0095, 30), np.linspace(0.01, 0.99, 99)])
JUDGED: Final = Plan(seed=77, rows=300_000)
THIEVES: Final = Plan(seed=78, rows=20_000, fraud_rate=0.25)


class Judged(NamedTuple):
    """A model, by threshold of `GRID` where an array."""

    evasive: float
    precision: float
    """Average precision on the draw, whose thieves know nothing."""
    recall: Floats
    """Of those thieves."""
    near: Floats
    """Of the ways of `NEAR`, the mean."""
    parts: Floats
    honest: Floats
    """Honest payments that are blocked, of 10,000."""
    cost: Floats
    """Account currency, of 10,000 payments."""


def judged(evasive: float, rows: Labelled, thieves: Labelled) -> Judged:
    """Train a model and judge it."""
    model = train(sample_path(), evasive=evasive).model
    scorer = Scorer("", model.body.compiled(len(PAYSIM.features.names)))
    scores, fraud = scorer.score_matrix(rows.matrix), rows.fraud
    ways = dict(variants(payments(thieves), thieves.fraud))
    made = {name: (_scores(scorer, ways[name]), ways[name]["amount"]) for name in WAYS}
    count = len(made["takes everything"][0])
    missed = np.mean([_missed(*each) / count for each in made.values()], axis=0)
    usual = _missed(scores[fraud], rows.amount[fraud]) / fraud.sum()
    honest = _above(scores[~fraud]) * (~fraud).mean()
    cost = fraud.mean() * (KNOWING * missed + (1.0 - KNOWING) * usual) + ALARM * honest
    return Judged(
        evasive,
        average_precision(fraud, scores, rows.weight),
        _above(scores[fraud]),
        np.mean([_above(made[name][0]) for name in NEAR], axis=0),
        _above(made[PARTS][0]),
        1e4 * honest,
        1e4 * cost,
    )


def table(found: Sequence[Judged]) -> str:
    """Return what each model does from the threshold of a block on, and where it is cheapest."""
    lines = [
        "| evasive | AP | recall | takes 90 % or more | three parts "
        "| honest of 10,000 blocked | cost of 10,000 | cheapest at | cost there |",
        "|" + " --- |" * 9,
    ]
    at = int(np.abs(GRID - THRESHOLDS["block"]).argmin())
    for each in found:
        best = int(each.cost.argmin())
        shares = (each.precision, *(part[at] for part in (each.recall, each.near, each.parts)))
        lines.append(
            f"| {each.evasive:g} | "
            + " | ".join(f"{share:.3f}" for share in shares)
            + f" | {each.honest[at]:.2f} | {each.cost[at]:,.0f} "
            f"| {GRID[best]:.2g} | {each.cost[best]:,.0f} |"
        )
    return "\n".join(lines)


def draw(found: Sequence[Judged], path: Path) -> None:
    """Write the recall of thieves who know the model, over honest payments blocked, as PNG."""
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Any = figure.add_subplot()
    at = int(np.abs(GRID - THRESHOLDS["block"]).argmin())
    for each in found:
        (line,) = axes.plot(each.honest, each.near, label=f"trained with {each.evasive:g}")
        axes.plot(each.honest[at], each.near[at], "o", color=line.get_color())
        best = int(each.cost.argmin())
        axes.plot(each.honest[best], each.near[best], "x", color=line.get_color(), markersize=8)
    axes.set_xscale("log")
    axes.set_xlabel("honest payments blocked, of 10,000")
    axes.set_ylabel("recall of thieves who leave up to 10 %")
    axes.set_title("Point: a block from .8 on. Cross: the cheapest threshold.", fontsize=10)
    axes.set_ylim(0.0, 1.0)
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def _generated(plan: Plan) -> Labelled:
    return labelled(pd.DataFrame(generate(plan), columns=list(Row._fields)))


def _scores(scorer: Scorer, rows: Payments) -> Floats:
    return scorer.score_matrix(scorer.features.from_columns(rows))


def _above(scores: Floats) -> Floats:
    """Return the share of scores from each threshold on."""
    return np.array([(scores >= at).mean() for at in GRID])


def _missed(scores: Floats, amounts: Floats) -> Floats:
    """Return the money below each threshold."""
    return np.array([amounts[scores < at].sum() for at in GRID])


@click.command()
@click.option("--shares", default="0,0.25,0.5,1", show_default=True)
@click.option("--plot", type=click.Path(dir_okay=False, path_type=Path))
def main(shares: str, plot: Path | None) -> None:
    """Print the table, and draw the plot if asked for."""
    rows, thieves = _generated(JUDGED), _generated(THIEVES)
    found = [judged(float(share), rows, thieves) for share in shares.split(",")]
    click.echo(table(found))
    if plot:
        draw(found, plot)


if __name__ == "__main__":
    main()
