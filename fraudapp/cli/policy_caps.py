"""`policy caps` and `uncap`."""

from __future__ import annotations

import json
from typing import Any, Final

import click

from fraudapp.cli.candidates import moment
from fraudapp.cli.control import opened, run
from fraudapp.cli.control_options import signed
from fraudapp.settings import load
from models.characters import legible
from models.control.records import CapKey, Capped


@click.command("caps")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def caps(as_json: bool) -> None:
    """List the caps of the policy in force that have begun, and have not ended."""
    settings = load()

    async def read() -> list[dict[str, Any]]:
        async with opened(settings) as control:
            head = control.head
            if head is None:
                return []
            known = control.known.caps[head.id]
            return [
                {
                    "rule": rule or None,
                    "share": cap.share,
                    "by": cap.author,
                    "note": cap.note,
                    "since": moment(known.since[rule]),
                }
                for rule, cap in known.begun.items()
            ]

    found_ = run(settings, read())
    for each in found_:
        if as_json:
            click.echo(json.dumps(each))
        else:
            what = (
                f"rule {each['rule']} is in test" if each["rule"] else "what is blocked is flagged"
            )
            said = (
                f"{what} since {each['since']}, at a share of {each['share']:.4f}, by {each['by']}"
            )
            click.echo(legible(said + (f": {each['note']}" if each["note"] else "")))
    if not found_ and not as_json:
        click.echo("no cap of the policy in force has begun")


@click.command("uncap")
@click.argument("rule", default="")
@signed
def uncap(rule: str, author: str, note: str) -> None:
    """End the cap on RULE of the policy in force, by default the one on all that is blocked.

    It begins again if the share is still above it.
    """
    settings = load()
    what = f"the cap on rule {rule}" if rule else "the cap on all"

    async def change() -> None:
        async with opened(settings) as control:
            head = control.head
            begun = control.known.caps[head.id].begun if head else {}
            if head is None or rule not in begun:
                raise click.ClickException(
                    f"{what} has not begun; `fraudapp policy caps` lists them"
                )
            ended = Capped(on=False, share=begun[rule].share, author=author, note=note)
            async with control.writer() as writer:
                await writer.set_caps({CapKey(head.id, rule): ended})
            click.echo(f"{what} of version {head.number} has ended")

    run(settings, change(), unsure="`fraudapp policy caps` tells whether it has ended")


COMMANDS: Final = (caps, uncap)
