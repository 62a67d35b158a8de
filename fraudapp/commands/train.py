"""`train`: trains a new model version."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from aiokafka.errors import KafkaError
from click.core import ParameterSource

from fraudapp.cli.parameters import Duration, Finite
from fraudapp.cli.periods import period_of
from fraudapp.commands.models import print_active
from fraudapp.model_registry import ModelRegistry
from fraudapp.samples import misfit_explained, training_file
from fraudapp.settings import Settings, load
from fraudapp.training.files import together
from models.artifact import Kind, ModelFileError
from models.errors import TrainingDataError
from models.profiles.replaying import LABEL_DELAY
from models.profiles.windows import DAY
from models.training.days import MAX_DAYS, Days, known_after

if TYPE_CHECKING:
    from fraudapp.backtests.period import Period
    from models.training.train import TrainedModel

USUAL: Final = Days(train=28, gap=7, test=7)
"""Days of the periods that are not named, where one is; the gap is longer if labels are later."""
MATURE_DAYS: Final = 7
_OF_FILES: Final = ("weight_legit", "label_delay")
_OF_LOG: Final = ("since", "until", "mature_days")
_DAYS: Final = click.IntRange(1, MAX_DAYS)


@click.command("train")
@click.argument("files", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
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
@click.option(
    "--label-delay",
    type=Duration(),
    default=LABEL_DELAY,
    show_default="7d",
    help="How long after a transaction its label is known, for profiles of frauds.",
)
@click.option(
    "--evasive",
    type=Finite(min=0, max=10),
    help="Thieves who know the model, to one who does not (.5); of boosting on PaySim's fields.",
)
@click.option("--train-days", type=_DAYS, help="Train on so many days (28), before a gap.")
@click.option(
    "--gap-days",
    type=click.IntRange(0, MAX_DAYS),
    help="Days of the gap (7, or until labels are known).",
)
@click.option("--test-days", type=_DAYS, help="Judge on so many days (7), after the gap.")
@click.option(
    "--test-from",
    type=click.DateTime(["%Y-%m-%d"]),
    help="First day to judge on (UTC); without, the last days of the data are judged.",
)
@click.option("--from-log", is_flag=True, help="Train on decisions and their labels, not on FILE.")
@click.option(
    "--mature-days",
    type=click.IntRange(0, MAX_DAYS),
    default=MATURE_DAYS,
    show_default=True,
    help="Of the log, decisions as old as that, by when their labels have come.",
)
@click.option("--since", help="Of the log, from then on: 90d ago, a date or a time (UTC).")
@click.option("--until", help="Of the log, up to then, not including it.")
@click.option(
    "--activate/--no-activate", default=None, help="Let it serve from the next start on; default."
)
def command(
    files: Sequence[Path],
    kind: Kind | None,
    seed: int,
    seeds: int,
    weight_legit: float,
    label_delay: int,
    evasive: float | None,
    train_days: int | None,
    gap_days: int | None,
    test_days: int | None,
    test_from: datetime | None,
    from_log: bool,
    mature_days: int,
    since: str | None,
    until: str | None,
    activate: bool | None,
) -> None:
    """Train a model on FILE: labelled transactions, as CSV, JSON lines or Parquet.

    Several files, or those of a folder, are one data set. Without FILE it is FRAUD_TRAINING_FILE,
    or else the sample of the schema, if it has one.

    With --train-days, --gap-days, --test-days or --test-from, the model is trained and judged on
    those days; earlier rows tell what accounts did before, and later ones are left out. Without,
    it is judged on the last part of the data, and then trained on all.

    With --from-log, it is trained on the decisions of the log, by the labels of the topic of
    labels. It never serves by itself: `fraudapp models activate` lets it.
    """
    settings = load()
    registry = ModelRegistry.of(settings)
    now = datetime.now(timezone.utc)
    period = period_of(since, until, now)
    if from_log and (files or activate or _given(_OF_FILES)):
        raise click.UsageError(
            "--from-log goes without FILE, --activate, --weight-legit and --label-delay"
        )
    if not from_log and _given(_OF_LOG):
        raise click.UsageError("--since, --until and --mature-days go with --from-log")
    serves = activate is not False and not from_log
    known = 0 if from_log else known_after(settings.transaction_schema, label_delay)
    how: dict[str, Any] = {
        "kind": kind or settings.model_kind,
        "seed": seed,
        "seeds": seeds,
        "evasive": evasive,
        "days": _days(train_days, gap_days, test_days, test_from, known),
        "progress": click.echo,
        "warn": print_warning,
    }
    try:
        if from_log:
            trained = _of_log(settings, (period, timedelta(days=mature_days), now), how)
        else:
            how |= {"weight_legit": weight_legit, "label_delay": label_delay}
            trained = _of_files(files, settings, how)
        version = registry.add(trained)
        if serves:
            registry.activate(version)
    except (TrainingDataError, ModelFileError) as exc:
        raise click.ClickException(str(exc)) from exc
    if spread := trained.metrics.get("across_seeds"):
        precision = spread["average_precision"]
        click.echo(
            f"Average precision over {seeds} seeds: mean {precision['mean']:.3f}, "
            f"worst {precision['least']:.3f}"
        )
    if serves:
        click.echo(f"{version} is kept")
        print_active(settings, version)
        return
    click.echo(f"{version} is kept" + (", and serves nobody yet" if from_log else ""))


def _of_files(files: Sequence[Path], settings: Settings, how: dict[str, Any]) -> TrainedModel:
    from models.training.train import train  # here, since scikit-learn is slow to import

    source = together(files) or training_file(settings)
    with misfit_explained(source, settings):
        return train(source, schema=settings.transaction_schema, **how)


def _of_log(
    settings: Settings, mature: tuple[Period, timedelta, datetime], how: dict[str, Any]
) -> TrainedModel:
    # Here, since pandas is slow to import, and workers have no use for it.
    from fraudapp.training.from_log import Mature, gathered, sentences, trained_on

    chosen = Mature(*mature)
    try:
        found = asyncio.run(gathered(settings, chosen))
    except (KafkaError, OSError) as exc:
        raise click.ClickException(
            f"the broker at FRAUD_BROKER_URL={settings.broker_url} fails: {exc!r}"
        ) from exc
    for sentence in sentences(found):
        click.echo(sentence)
    return trained_on(found, settings, chosen, **how)


def _given(names: Sequence[str]) -> bool:
    """Whether one of these options is on the command line, be it with its default."""
    source = click.get_current_context().get_parameter_source
    return any(source(each) is not ParameterSource.DEFAULT for each in names)


def _days(
    train: int | None, gap: int | None, test: int | None, test_from: datetime | None, known: int
) -> Days | None:
    """Return the periods if one is named; of the others, those of `USUAL`.

    A gap that is not named is no shorter than `known`, the seconds until labels are known.
    """
    if all(each is None for each in (train, gap, test, test_from)):
        return None
    return Days(
        train=USUAL.train if train is None else train,
        gap=max(USUAL.gap, ceil(known / DAY)) if gap is None else gap,
        test=USUAL.test if test is None else test,
        test_from=test_from.date() if test_from else None,
    )


def print_warning(sentence: str) -> None:
    """Print what is likely to be a mistake in the data, without ending for it."""
    click.echo(f"Warning: {sentence}", err=True)
