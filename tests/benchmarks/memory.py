"""What memory of accounts is worth: average precision on generated card payments, with and without.

    python -m tests.benchmarks.memory [--seeds 20-24] [--world default|far|rare|handbook]

Each seed is a world of its own: `python -m data.cards --seed 20 --days 90`. A model is trained on
28 days, and judged on the last 7; between them are 7 days, since labels come 7 days late. Without
memory, it is the preset `cards` without what is made of profiles. Another world has customers who
go farther, less fraud, or the size of the Fraud Detection Handbook's.
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Final, NamedTuple

import click
from msgspec import structs

from data.cards.generator import write_csv
from data.cards.plan import Plan
from models.schema.definition import Definition, operation
from models.schema.schema import Schema, preset
from models.training.days import Days
from models.training.train import train

DAYS: Final = Days(train=28, gap=7, test=7)
WORLDS: Final[Mapping[str, Plan]] = {
    "default": Plan(),
    "far": Plan(radius=25.0),
    "rare": Plan(terminal_share=Fraction(1, 10_000), customer_share=Fraction(3, 10_000)),
    "handbook": Plan(customers=5_000, terminals=10_000, radius=5.0, days=85),
}


class Found(NamedTuple):
    """One model."""

    precision: float
    """Average precision on the days it is judged on."""
    frauds: int
    seconds: float
    """For reading, replaying, training and judging."""


def without_memory(definition: Definition) -> Definition:
    """Return a schema without its profiles, and without what is made of them."""
    gone = {
        name
        for name, feature in definition.features.items()
        if {*operation(feature)[1]} & definition.profile.keys()
    }
    features = {name: each for name, each in definition.features.items() if name not in gone}
    return structs.replace(definition, profile={}, features=features, reasons=())


def measured(file: Path, schema: Schema) -> Found:
    """Train and judge on a file."""
    begin = time.perf_counter()
    metrics = train(file, schema=schema, days=DAYS).metrics
    seconds = time.perf_counter() - begin
    return Found(metrics["average_precision"], metrics["frauds"], seconds)


def row(name: object, without: Found, within: Found) -> str:
    """Return a row of the table."""
    return (
        f"| {name} | {within.frauds} | {without.precision:.3f} | {within.precision:.3f} "
        f"| {without.seconds:.1f} | {within.seconds:.1f} |"
    )


def summary(name: str, found: Sequence[Found]) -> str:
    """Return mean and worst of several seeds."""
    precisions = [each.precision for each in found]
    return f"{name}: mean {statistics.mean(precisions):.3f}, worst {min(precisions):.3f}"


def _seeds(text: str) -> list[int]:
    first, _, last = text.partition("-")
    return [*range(int(first), int(last or first) + 1)]


@click.command()
@click.option("--seeds", default="20-24", show_default=True, help="One, or from one to another.")
@click.option("--world", type=click.Choice([*WORLDS]), default="default", show_default=True)
def main(seeds: str, world: str) -> None:
    """Measure what memory of accounts is worth."""
    cards = preset("cards")
    schemas = Schema(without_memory(cards.definition)), cards
    click.echo("| seed | frauds judged | AP without | AP with | s without | s with |")
    click.echo("| --- | --- | --- | --- | --- | --- |")
    found = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in _seeds(seeds):
            file = Path(folder) / f"{seed}.csv"
            write_csv(replace(WORLDS[world], seed=seed), file)
            found.append([measured(file, schema) for schema in schemas])
            file.unlink()
            click.echo(row(seed, *found[-1]))
    for name, each in zip(("without", "with"), zip(*found, strict=True), strict=True):
        click.echo(summary(name, each))


if __name__ == "__main__":
    main()
