"""`backtest`: what a policy would have changed on transactions of a file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Final

import click
import msgspec

from fraudapp.cli.conditions import Condition
from fraudapp.cli.policy_files import read_lists, read_policy
from fraudapp.cli.transaction_files import InvalidRow, read_file
from fraudapp.model_registry import ModelRegistry
from fraudapp.reports.backtest import as_text
from fraudapp.settings import Settings, load
from models.artifact import ModelFileError
from models.files.rows import UnreadableFile, stem
from models.policies.backtest import Backtest, Comparison
from models.policies.definition import PolicyFile
from models.policies.ruling import Lists, Ruling
from models.records import Transaction
from models.scorer import Scorer

BATCH: Final = 2_000
FAILED: Final = 3
"""Exit code where a condition of --fail-if holds."""


@click.command("backtest")
@click.argument("policy", type=click.Path(path_type=Path))
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--list", "lists", multiple=True, metavar="NAME=FILE", help="Entries of a list.")
@click.option("--model", "version", help="Score with this version; default: the active one.")
@click.option(
    "--fail-if",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="Such as 'block_share > 0.5%'; exit code 3 if it holds. Repeatable.",
)
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
def command(
    policy: Path,
    file: Path,
    lists: Sequence[str],
    version: str | None,
    conditions: Sequence[str],
    style: str,
) -> None:
    """Say what POLICY would have changed on the transactions of FILE.

    It is compared with the thresholds of the settings. Nothing is decided, and nothing kept. Where
    FILE has labels, precision and recall are told, with intervals of 95 %.
    """
    settings = load()
    demanded = [Condition.of(each) for each in conditions]
    after = Ruling(read_policy(policy, settings.transaction_schema), settings.transaction_schema)
    found = _run(settings, after, file, read_lists(lists), _scorer(settings, version))
    if style == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        click.echo(as_text(found))
    if failed := [each for each in demanded if each.holds(found)]:
        click.echo("\n".join(f"fails: {each}" for each in failed), err=True)
        raise SystemExit(FAILED)


def _run(settings: Settings, after: Ruling, file: Path, lists: Lists, scorer: Scorer) -> Backtest:
    schema, now = settings.transaction_schema, datetime.now(timezone.utc)
    before = Ruling(PolicyFile(flag_at=settings.flag_at, block_at=settings.block_at), schema)
    label, comparison = schema.of_role("label"), Comparison(after)
    rows = _valid(read_file(file, stem(file), schema))
    try:
        while batch := list(islice(rows, BATCH)):
            matrix = scorer.features.matrix(batch)
            scores = scorer.score_matrix(matrix).tolist()
            was = before.rule(batch, scores, matrix, lists={}, now=now)
            now_is = after.rule(batch, scores, matrix, lists=lists, now=now)
            amounts = [schema.amount(each) or 0.0 for each in batch]
            frauds = [bool(label(each)) for each in batch]
            comparison.add([each.outcome for each in was], now_is, amounts, frauds)
    except UnreadableFile as exc:
        raise click.ClickException(str(exc)) from exc
    if not comparison.found.rows:
        raise click.ClickException(f"{file} holds no transactions")
    return comparison.result()


def _valid(rows: Iterator[Transaction | InvalidRow]) -> Iterator[Transaction]:
    for each in rows:
        if isinstance(each, InvalidRow):
            raise click.ClickException(f"{each}; nothing was compared")
        yield each


def _scorer(settings: Settings, version: str | None) -> Scorer:
    registry = ModelRegistry.of(settings)
    try:
        return registry.load(version) if version else registry.load_active()
    except ModelFileError as exc:
        raise click.ClickException(str(exc)) from exc
