"""A backtest on the transactions of a file, which no policy has decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from itertools import islice
from pathlib import Path
from typing import Any, Final

import click

from fraudapp.backtests.candidate import Candidate
from fraudapp.backtests.known_models import KnownModels
from fraudapp.cli.transaction_files import InvalidRow, read_file
from fraudapp.settings import Settings
from fraudapp.training.card import label_delay_of, training_of
from models.files.rows import UnreadableFile, stem
from models.policies.backtest import Backtest
from models.policies.comparison import Comparison
from models.policies.in_force import of_thresholds
from models.policies.ruling import Lists
from models.records import Transaction
from models.schema.schema import Schema
from models.training.remembered import Remembered

BATCH: Final = 2_000


def over_file(
    settings: Settings,
    candidate: Candidate,
    file: Path,
    lists: Lists,
    version: str | None,
    models: KnownModels,
) -> Backtest:
    """Compare a policy with the thresholds of the settings; raises `click.ClickException`.

    A model version scores, by default that of the policy, or else the active one; raises
    `ModelFileError` without it. If the schema remembers accounts, each transaction is seen with
    those before it by its time, whose labels are known as late as in the training of the model; all
    of the file is in memory then.
    """
    version = version or candidate.ruling.policy.model
    scorer = models.load(version) if version else models.active()
    schema, now, after = (
        settings.transaction_schema,
        datetime.now(timezone.utc),
        candidate.ruling,
    )
    before = of_thresholds(settings.policy, schema)
    label, comparison = schema.of_role("label"), Comparison(after)
    rows: Iterator[Any] = _valid(read_file(file, stem(file), schema))
    try:
        if schema.remembering:
            label_delay = label_delay_of(training_of(models, scorer.version))
            rows = iter(_remembered([*rows], schema, label_delay))
        while batch := list(islice(rows, BATCH)):
            matrix = scorer.features.matrix(batch)
            scores = scorer.score_matrix(matrix).tolist()
            was = before.rule(batch, scores, matrix, now)
            now_is = after.rule(batch, scores, matrix, lists=lists, now=now)
            amounts = [schema.amount(each) or 0.0 for each in batch]
            frauds = [bool(label(each)) for each in batch]
            comparison.add([each.outcome for each in was], now_is, amounts, frauds)
    except UnreadableFile as exc:
        raise click.ClickException(str(exc)) from exc
    if not comparison.found.rows:
        raise click.ClickException(f"{file} holds no transactions")
    found = comparison.result()
    found.policy, found.notes = candidate.name, [*candidate.problems]
    return found


def _remembered(
    transactions: Sequence[Transaction], schema: Schema, label_delay: int
) -> Sequence[Any]:
    """Return the transactions together with what was before each of them."""
    label = schema.of_role("label")
    try:
        remembered = Remembered(schema)
        remembered.add(transactions, [bool(label(each)) for each in transactions])
        values = remembered.values(label_delay)
    except ValueError as exc:
        raise click.ClickException(f"{exc}; nothing was compared") from exc
    known = map(remembered.known, values.tolist())
    return schema.with_profiles(transactions, [*known])


def _valid(rows: Iterator[Transaction | InvalidRow]) -> Iterator[Transaction]:
    for each in rows:
        if isinstance(each, InvalidRow):
            raise click.ClickException(f"{each}; nothing was compared")
        yield each
