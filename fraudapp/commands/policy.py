"""`policy`: checks policy files."""

from __future__ import annotations

from pathlib import Path

import click

from fraudapp.cli.policy_files import read_policy
from fraudapp.settings import load
from models.policies.ruling import Ruling


@click.group("policy")
def command() -> None:
    """Check a policy: a file with thresholds, rules and lists; see models/policies/README.md."""


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check FILE by the schema of the settings.

    What is wrong is told with line and column; the exit code is then 2.
    """
    policy = read_policy(file, schema := load().transaction_schema)
    active = sum(each.mode == "active" for each in policy.rules)
    click.echo(
        f"{file} is a policy for schema {schema.name}: flag at {policy.flag_at:g}, block at "
        f"{policy.block_at:g}; {len(policy.rules)} rules, {active} of them active"
    )
    if lists := Ruling(policy, schema).lists:
        click.echo(f"it looks into the lists {', '.join(lists)}")
