"""`policy`: checks policies, puts them in force, and shows what is in force."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path

import click

from fraudapp.cli import policy_caps, policy_views
from fraudapp.cli import policy_changes as changes
from fraudapp.cli.control import opened, run
from fraudapp.cli.control_options import signed
from fraudapp.cli.control_options import waiting as with_wait
from fraudapp.cli.policy_files import checked, has_expired, read_policy, warnings
from fraudapp.cli.waiting import waiting
from fraudapp.settings import load
from models.files.lines import shown
from models.policies.ruling import Ruling


@click.group("policy")
def command() -> None:
    """Put policies in force: files with thresholds, rules and lists.

    See models/policies/README.md. What is changed is written to the control topic, which all
    workers follow; no worker has to run.
    """


@command.command("check")
@click.argument("file", type=click.Path(path_type=Path))
def check(file: Path) -> None:
    """Check FILE by the schema of the settings.

    All that is wrong is told with line and column; the exit code is then 2. Warnings, such as of
    rules that have expired, do not change it.
    """
    settings, now = load(), datetime.now(timezone.utc)
    policy = read_policy(file, schema := settings.transaction_schema)
    active = sum(each.mode == "active" and not has_expired(each, now) for each in policy.rules)
    click.echo(
        f"{file} is a policy for schema {schema.name}: flag at {policy.flag_at:g}, block at "
        f"{policy.block_at:g}; {len(policy.rules)} rules, {active} of them active"
    )
    if lists := Ruling(policy, schema).lists:
        click.echo(f"it looks into the lists {', '.join(lists)}")
    if policy.shadow:
        click.echo(f"in shadow it has {', '.join(policy.shadow)}")
    if policy.canary:
        click.echo(f"{policy.shadow[0]} decides for {policy.canary:.4g} of senders")
    for each in warnings(policy, settings, now):
        click.echo(f"warning: {shown(file)}: {each}", err=True)


@command.command("apply")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--parent",
    type=click.IntRange(min=0),
    help="Only in the place of this version, 0 for none; default: the one in force.",
)
@signed
@with_wait
def apply(file: Path, parent: int | None, author: str, note: str, wait: float | None) -> None:
    """Put FILE in force in the place of the policy that is.

    Exit codes: 2 if it is not valid, 3 if another one was quicker; nothing has changed then. 4 if
    it is in force, and the owner of some partition does not decide by it after --wait seconds.

    With FRAUD_POLICY_APPROVAL it waits until somebody else approves it.
    """
    settings = load()
    text = changes.checked_text(file, settings.transaction_schema)

    async def change() -> None:
        async with opened(settings, for_writing=True) as control, waiting(settings, wait) as told:
            head = changes.parent_of(control, parent)
            changes.check_models(control, text)
            await changes.propose(control, told, text, parent=head, author=author, note=note)

    run(settings, change(), unsure=changes.UNSURE)


@command.command("approve")
@click.argument("policy")
@signed
@with_wait
def approve(policy: str, author: str, note: str, wait: float | None) -> None:
    """Approve POLICY, which then is in force: an id, or its place among those that wait.

    Its author cannot. Exit codes: 3 if another one was quicker, 4 as of `policy apply`.
    """
    settings = load()

    async def change() -> None:
        async with opened(settings) as control, waiting(settings, wait) as told:
            candidate = changes.to_approve(control, policy, author)
            async with control.writer() as writer:
                told.begin()
                await writer.approve(candidate.id, author=author, note=note)
                await changes.settle(control, told, candidate)

    run(settings, change(), unsure=changes.UNSURE)


@command.command("rollback")
@click.argument("version", type=click.IntRange(min=0), required=False)
@signed
@with_wait
def rollback(version: int | None, author: str, note: str, wait: float | None) -> None:
    """Put the text of an earlier VERSION in force again, as a new version.

    Default: the one before the one in force; before the first are the thresholds of the settings.
    Exit codes as of `policy apply`.
    """
    settings = load()

    async def change() -> None:
        async with opened(settings) as control, waiting(settings, wait) as told:
            number, text = changes.rolled_back(control, version)
            checked(text.encode(), f"version {number}", settings.transaction_schema)
            said = f"rollback to {number or 'the thresholds'}" + (f": {note}" if note else "")
            click.echo(said)
            await changes.propose(
                control, told, text, parent=control.head, author=author, note=said[:1_000]
            )

    run(settings, change(), unsure=changes.UNSURE)


for each in (*policy_views.COMMANDS, *policy_caps.COMMANDS):
    command.add_command(each)
