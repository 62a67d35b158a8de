"""`evaluate`: how good a model is on labelled transactions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from msgspec import ValidationError, convert

from data.generator import Row, generate
from data.plan import Plan
from fraudapp.cli.parameters import Duration, Finite
from fraudapp.commands.train import USUAL, print_warning
from fraudapp.first_model import ready_scorer
from fraudapp.model_registry import ModelRegistry
from fraudapp.settings import Settings, load
from fraudapp.training.card import label_delay_of, training_of
from fraudapp.training.files import together
from models.artifact import ModelFileError
from models.errors import TrainingDataError
from models.schema.schema import PAYSIM
from models.scorer import Scorer
from models.training.days import MAX_DAYS, Days, Span

if TYPE_CHECKING:
    import pandas as pd

FRESH_PLAN = Plan(seed=Plan().seed + 1)
"""Plan of the transactions to judge without FILE: as many as the model was trained on."""


@click.command("evaluate")
@click.argument("paths", nargs=-1, metavar="[FILE]...", type=click.Path(path_type=Path))
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
    help="How long after a transaction its label is known; default: as in the model's training.",
)
@click.option(
    "--test-from",
    type=click.DateTime(["%Y-%m-%d"]),
    help="First day to judge on (UTC); earlier rows only tell what accounts did before.",
)
@click.option(
    "--test-days",
    type=click.IntRange(1, MAX_DAYS),
    help="Days to judge on: from --test-from on (7), or the last ones.",
)
@click.option("--model", "version", help="Version to judge; default: the active one.")
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default="evaluation",
    show_default=True,
    help="Folder for evaluation.json and the plots.",
)
@click.option(
    "--alarm-cost",
    type=Finite(min=0),
    default=1000.0,
    show_default=True,
    help="Cost of investigating one alarm, account currency.",
)
@click.option(
    "--evasion", is_flag=True, help="Judge thieves who know the model, too; for PaySim's schema."
)
@click.option("--plots/--no-plots", default=True, help="Draw PNG files; needs matplotlib.")
def command(
    paths: Sequence[Path],
    weight_legit: float,
    label_delay: int | None,
    test_from: datetime | None,
    test_days: int | None,
    version: str | None,
    out: Path,
    alarm_cost: float,
    evasion: bool,
    plots: bool,
) -> None:
    """Judge the model on FILE: labelled transactions, as CSV, JSON lines or Parquet.

    Several files, or those of a folder, are one data set. Without FILE, freshly generated
    transactions are judged which no model was trained on. A model that was trained on named days
    of these files is judged on the days that it was not trained on, unless others are named.

    With --evasion, frauds that empty an account are changed in ways that cost a thief next to
    nothing, and judged again, and so are honest payments as if they emptied one.
    """
    from models.training.evaluation import evaluate
    from models.training.plots import PlotsUnavailable, save_plots

    settings = load()
    scorer = _scorer(settings, version)
    training = training_of(ModelRegistry.of(settings), scorer.version)
    try:
        files = together(paths)
        report, rows, scores = evaluate(
            files or _fresh(settings),
            scorer,
            weight_legit=weight_legit,
            thresholds={"flag": settings.flag_at, "block": settings.block_at},
            alarm_cost=alarm_cost,
            label_delay=label_delay or label_delay_of(training),
            span=_span(test_from, test_days) or _of_training(files, training),
            out=out,
            training=training,
            evading=evasion,
        )
        click.echo(as_text(report))
        for sentence in report["warnings"]:
            print_warning(sentence)
        if plots:
            save_plots(report, rows, scores, out)
    except PlotsUnavailable as exc:
        click.echo(f"No plots: {exc}, or use --no-plots", err=True)
    except TrainingDataError as exc:
        raise click.ClickException(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(
            f"{out} cannot be written ({exc}); choose another --out"
        ) from exc
    click.echo(f"written to {out}")


def _span(test_from: datetime | None, test_days: int | None) -> Callable[[Any], Span] | None:
    if test_from is None and test_days is None:
        return None
    days = test_days or USUAL.test
    if test_from is None:
        return lambda step: Span.ending(step, days)
    return lambda step: Span(test_from.date(), days)


def _of_training(
    files: Path | tuple[Path, ...] | None, training: Mapping[str, Any]
) -> Callable[[Any], Span] | None:
    """Return the days on which the training judged, if it named days of these files."""
    from models.training.sources import sha256, streams

    if files is None or "days" not in training or streams(files):
        return None
    try:
        if sha256(files) != training.get("data_sha256"):
            return None
        return convert(training["days"], Days).test_span
    except (OSError, ValidationError):
        return None  # reading the files says what is wrong


def as_text(report: dict[str, Any]) -> str:
    """Return the evaluation as text for people."""
    flag, block = report["thresholds"]["flag"], report["thresholds"]["block"]
    return f"""\
{report["model_version"]} on {report["data"]}
{_chosen(report)}\
{report["rows"]:,} rows, {report["frauds"]:,} frauds, fraud rate {report["fraud_rate"]:.3%}

average precision        {report["average_precision"]:.4f}
{_baseline(report)}\
recall at precision .9   {report["recall_at_precision_90"]:.3f}
recall at precision .99  {report["recall_at_precision_99"]:.3f}
precision, 10 a day      {report["precision_at_10_a_day"]:.3f}
precision, 100 a day     {report["precision_at_100_a_day"]:.3f}
from {flag:g} on: precision {report["precision_flag"]:.3f}, recall {report["recall_flag"]:.3f}
from {block:g} on: precision {report["precision_block"]:.3f}, recall {report["recall_block"]:.3f}
Brier score              {report["brier"]:.6f}
expected / actual fraud  {report["sum_p_over_sum_y"]:.3f}

money from {block:g} on:
  blocked                {report["money_blocked"]:,.2f}
  missed                 {report["money_missed"]:,.2f}
  wrongly held           {report["money_wrongly_held"]:,.2f}
cheapest threshold       {report["cheapest_threshold"]:.2f}, at {report["alarm_cost"]:,g} an alarm
{_evasion(report)}"""


def _chosen(report: dict[str, Any]) -> str:
    if days := report.get("days"):
        return f"days {days}\n"
    first = report.get("warm_up_rows")
    return f"after {first:,} rows that only tell what accounts did before\n" if first else ""


def _evasion(report: dict[str, Any]) -> str:
    if "evasion" not in report:
        return ""
    lines = [
        f"  {each['way']:<38}{each['blocked']:.3f} of {each['rows']:,}"
        for each in report["evasion"]
    ]
    return "\n".join(["", f"blocked from {report['thresholds']['block']:g} on:", *lines, ""])


def _baseline(report: dict[str, Any]) -> str:
    found = report.get("drain_rule_average_precision")  # of PaySim's transactions alone
    return "" if found is None else f"  of the drain rule      {found:.4f}\n"


def _fresh(settings: Settings) -> pd.DataFrame:
    import pandas as pd  # slow to import, and other commands do without

    name = settings.transaction_schema.name
    if name != PAYSIM.name:
        raise click.ClickException(
            f"transactions are generated for schema {PAYSIM.name} only, and yours is {name}; name "
            "a FILE of labelled transactions to judge the model on"
        )
    frame: pd.DataFrame = pd.DataFrame(generate(FRESH_PLAN), columns=list(Row._fields))
    frame.attrs["name"] = f"generated transactions, seed {FRESH_PLAN.seed}"
    return frame


def _scorer(settings: Settings, version: str | None) -> Scorer:
    try:
        if version is None:
            return ready_scorer(settings, click.echo)
        return ModelRegistry.of(settings).load(version)
    except (TrainingDataError, ModelFileError) as exc:
        raise click.ClickException(str(exc)) from exc
    except OSError as exc:
        raise click.ClickException(
            f"FRAUD_DATA_DIR={settings.data_dir} cannot be used ({exc})"
        ) from exc
