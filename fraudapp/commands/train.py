"""`train`: trains a new model version."""

from __future__ import annotations

from pathlib import Path

import click

from fraudapp.cli.parameters import Finite
from fraudapp.commands.models import print_active
from fraudapp.model_registry import ModelRegistry
from fraudapp.samples import misfit_explained, training_file
from fraudapp.settings import load
from models.artifact import Kind, ModelFileError


@click.command("train")
@click.argument("file", required=False, type=click.Path(path_type=Path))
@click.option(
    "--kind",
    type=click.Choice(["gradient_boosting", "logistic"]),
    help="Default: FRAUD_MODEL_KIND.",
)
@click.option("--seed", type=click.IntRange(min=0), default=7, show_default=True)
@click.option(
    "--seeds",
    type=click.IntRange(1, 50),
    default=1,
    show_default=True,
    help="Judge so many seeds, to see how much the luck of the seed matters.",
)
@click.option(
    "--weight-legit",
    type=Finite(min=0, min_open=True),
    default=1.0,
    show_default=True,
    help="How many transactions each legitimate row stands for, if FILE holds a sample of them.",
)
@click.option("--activate/--no-activate", default=True, help="Let it serve from the next start on.")
def command(
    file: Path | None,
    kind: Kind | None,
    seed: int,
    seeds: int,
    weight_legit: float,
    activate: bool,
) -> None:
    """Train a model on FILE: labelled transactions, as CSV, JSON lines or Parquet.

    Without FILE it is FRAUD_TRAINING_FILE, or else the sample of the schema, if it has one.
    """
    from models.training.train import (  # here, since scikit-learn is slow to import
        TrainingDataError,
        train,
    )

    settings = load()
    registry = ModelRegistry.of(settings)
    try:
        source = file or training_file(settings)
        with misfit_explained(source, settings):
            trained = train(
                source,
                kind or settings.model_kind,
                seed=seed,
                seeds=seeds,
                weight_legit=weight_legit,
                schema=settings.transaction_schema,
                progress=click.echo,
                warn=print_warning,
            )
        version = registry.add(trained)
        if activate:
            registry.activate(version)
    except (TrainingDataError, ModelFileError) as exc:
        raise click.ClickException(str(exc)) from exc
    if spread := trained.metrics.get("across_seeds"):
        precision = spread["average_precision"]
        click.echo(
            f"Average precision over {seeds} seeds: mean {precision['mean']:.3f}, "
            f"worst {precision['least']:.3f}"
        )
    click.echo(f"{version} is kept")
    if activate:
        print_active(settings, version)


def print_warning(sentence: str) -> None:
    """Print what is likely to be a mistake in the data, without ending for it."""
    click.echo(f"Warning: {sentence}", err=True)
