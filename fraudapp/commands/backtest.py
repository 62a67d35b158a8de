"""`backtest`: what a policy would have changed, in decisions or on transactions of a file."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec
from aiokafka.errors import KafkaError

from fraudapp.backtests import history
from fraudapp.backtests.candidate import Candidate, is_of_chain, of_chain
from fraudapp.backtests.known_models import KnownModels
from fraudapp.backtests.replay import Chosen
from fraudapp.backtests.run import Source, run
from fraudapp.cli.backtest_of_file import over_file
from fraudapp.cli.conditions import Condition
from fraudapp.cli.exit_codes import SinkFailed
from fraudapp.cli.periods import period_of
from fraudapp.cli.policy_files import InvalidPolicy, read_lists, read_policy
from fraudapp.reports.backtest import as_text
from fraudapp.settings import Settings, load
from fraudapp.sinks.base import SinkUnavailable
from models.artifact import ModelFileError
from models.policies.backtest import Backtest
from models.policies.reading import PolicyError
from models.policies.ruling import Lists, Ruling

T = TypeVar("T")

FAILED: Final = 3
"""Exit code where a condition of --fail-if holds."""


@click.command("backtest")
@click.argument("policy")
@click.argument("file", type=click.Path(path_type=Path), required=False)
@click.option("--since", help="Decisions from then on: 7d or 12h ago, a date or a time (UTC).")
@click.option("--until", help="Decisions up to then, not including it.")
@click.option("--made-by", metavar="NUMBER", help="Decisions of that policy only.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many decisions.")
@click.option("--from-postgres", "source", flag_value="postgres", help="Not from the log.")
@click.option("--from-archive", "source", flag_value="archive", help="Not from the log.")
@click.option("--list", "lists", multiple=True, metavar="NAME=FILE", help="Entries of a list.")
@click.option("--model", "version", help="Score FILE with it; default: the active one.")
@click.option(
    "--fail-if",
    "conditions",
    multiple=True,
    metavar="CONDITION",
    help="Such as 'block_share > 0.5%' or 'changed > 0'; exit code 3 if it holds. Repeatable.",
)
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
def command(
    policy: str,
    file: Path | None,
    since: str | None,
    until: str | None,
    made_by: str | None,
    limit: int | None,
    source: Source | None,
    lists: Sequence[str],
    version: str | None,
    conditions: Sequence[str],
    style: str,
) -> None:
    """Say what POLICY would have changed in the decisions that were made, or on FILE.

    POLICY is a file, the number of a policy of the control topic, or `in-force`. Decisions are
    those of the decision log, ruled anew with their own scores, lists and moments. Transactions of
    FILE are scored by a model, and compared with the thresholds of the settings. Nothing is
    decided, and nothing kept. Where transactions have labels, precision and recall are told, with
    intervals of 95 %.
    """
    settings = load()
    demanded = [Condition.of(each) for each in conditions]
    now = datetime.now(timezone.utc)
    chosen = Chosen(period_of(since, until, now), made_by, limit)
    if file and (chosen != Chosen() or source):
        raise click.UsageError("--since, --until, --made-by, --limit and --from go without FILE")
    if version and not file:
        raise click.UsageError("--model is for FILE: decisions have their scores")
    try:
        tried = policy if is_of_chain(policy) else _of_file(Path(policy), settings)
        if file:
            found = _over_file(settings, tried, file, read_lists(lists), version)
        else:
            found = _over_decisions(settings, tried, source or "log", chosen, read_lists(lists))
    except PolicyError as exc:
        raise InvalidPolicy(str(exc)) from exc
    except ModelFileError as exc:
        raise click.ClickException(str(exc)) from exc
    if style == "json":
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        click.echo(as_text(found))
    if failed := [each for each in demanded if each.holds(found)]:
        click.echo("\n".join(f"fails: {each}" for each in failed), err=True)
        raise SystemExit(FAILED)


def _of_file(file: Path, settings: Settings) -> Candidate:
    schema = settings.transaction_schema
    return Candidate(str(file), Ruling(read_policy(file, schema), schema))


def _over_file(
    settings: Settings, policy: str | Candidate, file: Path, lists: Lists, version: str | None
) -> Backtest:
    models = KnownModels(settings, {})
    if isinstance(policy, str):
        known = _answered(settings, history.timeline(settings))
        models = KnownModels(settings, known.models)
        policy = of_chain(policy, known.chain, settings, models)
        lists = {**known.at(None, datetime.now(timezone.utc)), **lists}
    return over_file(settings, policy, file, lists, version, models)


def _over_decisions(
    settings: Settings, policy: str | Candidate, source: Source, chosen: Chosen, lists: Lists
) -> Backtest:
    try:
        found = _answered(settings, run(settings, policy, source, chosen, lists))
    except SinkUnavailable as exc:
        failure = SinkFailed(source, exc, "Nothing was compared; run it again then.")
        failure.exit_code = 1  # another one is of a condition that holds
        raise failure from exc
    if found.rows:
        return found
    where = {"log": settings.decisions_topic, "postgres": "Postgres", "archive": settings.archive}
    by = f" by {chosen.made_by}" if chosen.made_by else ""
    others = f"; {n:,} are of other schemas" if (n := found.of_other_schemas) else ""
    raise click.ClickException(
        f"no decisions{by} are in {where[source]}{chosen.period}{others}: nothing was compared"
    )


def _answered(settings: Settings, question: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(question)
    except (KafkaError, OSError) as exc:
        raise click.ClickException(
            f"the broker at FRAUD_BROKER_URL={settings.broker_url} fails: {exc!r}"
        ) from exc
