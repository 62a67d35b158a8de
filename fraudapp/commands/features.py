"""`features`: the values that decisions are made with, and whether they were the right ones."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timezone
from typing import Final

import click

from fraudapp.cli.control import run
from fraudapp.cli.periods import period_of
from fraudapp.cli.policy_shown import table
from fraudapp.settings import load
from fraudapp.verifying.run import verify
from fraudapp.verifying.shown import as_json, as_text
from models.schema.definition import Definition, operation
from models.schema.schema import Schema

UNEXPLAINED: Final = 3
"""Exit code where a decision was made with other values than the log says, for no known reason."""


@click.group("features")
def command() -> None:
    """List the values that decisions are made with, and verify those of profiles."""


@command.command("list")
def list_features() -> None:
    """List the values of profiles and the features of the schema, and what they are made of."""
    schema = load().transaction_schema
    for line in table([*_rows(schema.definition)]):
        click.echo(line)
    if not schema.definition.profile:
        click.echo(f"\nschema {schema.name} has no [profile]: nothing of accounts is remembered")


@command.command("verify")
@click.option("--since", help="Decisions from then on: 7d or 12h ago, a date or a time (UTC).")
@click.option("--until", help="Decisions up to then, not including it.")
@click.option(
    "--show",
    "shown",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    metavar="N",
    help="Show the first N that are unexplained, and the first N that are explained.",
)
@click.option("--format", "style", type=click.Choice(["text", "json"]), default="text")
def verify_features(since: str | None, until: str | None, shown: int, style: str) -> None:
    """Compute the profiles of decisions again, and say where decisions were made with others.

    Decisions and labels are read from their topics, in the order in which they were made and became
    known. Decisions before --since are taken in, and not compared; so are those that were made with
    the profiles of another schema. Nothing is decided, and nothing kept. The profiles of all
    accounts of that time are in memory meanwhile.

    A difference is explained where the worker may have known more or less of an account than the
    log says, and each value that differs is one that it may have read then. It may have known more
    or less by decisions on the account of that value in another partition: less than
    FRAUD_PROFILE_LAG seconds before or after, or after it as the first of its partition, such as
    one that was in flight when a worker died. Where it says itself that its profiles were behind
    (profile_lag), it may have lacked what came within that time and FRAUD_PROFILE_LAG, labels
    among it; from 60 seconds on all that came before, as after a start. No other label explains
    anything. Workers have to have run with the FRAUD_PROFILE_LAG and FRAUD_PROFILE_LABEL_DELAY of
    this command.

    The exit code is 3 if a difference is unexplained, 0 if none is, and 1 if nothing could be
    compared.
    """
    period = period_of(since, until, datetime.now(timezone.utc))
    settings = load()
    schema = settings.transaction_schema
    if schema.remembering is None:
        raise click.ClickException(_without_profile(schema))
    found = run(settings, verify(settings, schema.remembering, period, shown))
    if not found.compared:
        others = f"; {n:,} were made with others" if (n := found.of_other_profiles) else ""
        raise click.ClickException(
            f"no decisions with profiles {schema.profile_version} are in "
            f"{settings.decisions_topic}{period}{others}: nothing was compared"
        )
    click.echo(as_json(found) if style == "json" else as_text(found))
    if found.unexplained:
        raise SystemExit(UNEXPLAINED)


def _rows(definition: Definition) -> Iterator[Sequence[str]]:
    yield "name", "kind", "made of"
    for name, text in definition.profile.items():
        yield name, "profile", text
    for name, feature in definition.features.items():
        kind, operands = operation(feature)
        yield name, "feature", f"{kind}({', '.join(operands)})"


def _without_profile(schema: Schema) -> str:
    return (
        f"schema {schema.name} has no [profile]: its decisions remember nothing of accounts, so "
        "that there is nothing to verify; FRAUD_SCHEMA names the schema"
    )
