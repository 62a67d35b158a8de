"""`policy show`, `history` and `diff`."""

from __future__ import annotations

import json
import sys
from typing import Final

import click

from fraudapp.cli import policy_shown as shown
from fraudapp.cli.candidates import fields, found
from fraudapp.cli.control import opened, run
from fraudapp.cli.policy_changes import thresholds
from fraudapp.settings import load
from models.characters import legible
from models.control.versions import Version


@click.command("show")
@click.argument("version", required=False)
@click.option(
    "--entries", is_flag=True, help="The entries of its lists as well, of a NUMBER+OFFSET."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(version: str | None, entries: bool, as_json: bool) -> None:
    """Show the policy of VERSION as decisions name it, by default the one in force.

    Of 42+1881, lists and caps are told as they were; of 42 the policy alone.
    """
    if version and (explained := shown.of_thresholds(version)):
        click.echo(json.dumps({"explained": explained}) if as_json else f"# {explained}")
        return
    wanted = Version.of(version) if version else None
    if version and wanted is None:
        raise click.UsageError(f"{version!r:.80} is no version: write one as 42, or as 42+1881")
    settings, as_of = load(), shown.AsOf(wanted)

    async def read() -> tuple[shown.Shown | None, str]:
        async with opened(settings, as_of.take) as control:
            candidate = found(control, wanted.number) if wanted else control.head
            if candidate is None:
                return None, thresholds(control)
            return shown.show(control, candidate, as_of), ""

    policy, of_settings = run(settings, read())
    if policy is None:
        explained = "no policy is in force: the settings decide"
        click.echo(json.dumps({"explained": explained}) if as_json else f"# {explained}")
        if not as_json:
            click.echo(of_settings, nl=False)
    elif as_json:
        listed = {"entries": policy.entries} if entries else {}
        told = {**policy.fields, "text": policy.candidate.proposed.text, **listed}
        click.echo(json.dumps(told, separators=(",", ":")))
    else:
        _show(policy, as_of, entries)


def _show(policy: shown.Shown, as_of: shown.AsOf, entries: bool) -> None:
    for line in shown.head_of(policy, as_of):
        click.echo(f"# {legible(line)}")
    for name, each in policy.entries.items() if entries else ():
        for entry in each:
            expires = f" (expires {entry['expires_at']})" if entry["expires_at"] else ""
            click.echo(f"# {name}: {legible(entry['value'])}{expires}")
    text = policy.candidate.proposed.text
    if sys.stdout.isatty():
        text = "".join(map(_legible, text.splitlines(keepends=True)))
    click.echo(text, nl=False)


def _legible(line: str) -> str:
    bare = line.rstrip("\r\n")
    return legible(bare.expandtabs()) + line[len(bare) :]


@click.command("history")
@click.option("--all", "everything", is_flag=True, help="Refused ones and those too late as well.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def history(everything: bool, as_json: bool) -> None:
    """List the policies that were in force, and those that wait for approval."""
    settings = load()

    async def read() -> list[str]:
        async with opened(settings) as control:
            there = shown.history(control, everything=everything)
            if as_json:
                return [json.dumps(fields(control, each)) for each in there]
            return [*shown.history_lines(control, there)]

    for line in run(settings, read()):
        click.echo(line)


@click.command("diff")
@click.argument("one")
@click.argument("other", required=False)
def diff(one: str, other: str | None) -> None:
    """Show what OTHER changes: versions, or paths of files.

    Of one version alone, what the one in force has changed since. Of one file alone, what it would
    change. 0 is the policy of the thresholds of the settings.
    """
    settings = load()

    async def read() -> list[str]:
        async with opened(settings) as control:
            return [*shown.difference(control, one, other)]

    for line in run(settings, read()):
        click.echo(_legible(line) if sys.stdout.isatty() else line, nl=not line.endswith("\n"))


COMMANDS: Final = (show, history, diff)
