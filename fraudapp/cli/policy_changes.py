"""Changes of the policy in force, and what became of each."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from fraudapp.cli.candidates import found, named, waiting_for_approval
from fraudapp.cli.control import Control, TooLate
from fraudapp.cli.policy_files import checked, content_of
from fraudapp.cli.waiting import Waiting, covers_number
from fraudapp.model_registry import serving_version
from models.control.chain import Candidate
from models.control.records import ROOT
from models.files.lines import shown
from models.policies.reading import read
from models.schema.schema import Schema

UNSURE: Final = "whether it was written is not known: `fraudapp policy history` tells"
MIN_ID_CHARACTERS: Final = 8
"""Of the beginning of an id; shorter ones are numbers."""


def checked_text(file: Path, schema: Schema) -> str:
    """Return the text of a policy file that can be in force; raises `InvalidPolicy`."""
    content = content_of(file)
    checked(content, shown(file), schema)
    return content.decode()


def check_models(control: Control, text: str) -> None:
    """Raise `click.ClickException` if no worker can have a model that a policy names."""
    settings = control.settings
    policy = read(text.encode(), settings.transaction_schema)
    for version in filter(None, (policy.model, *policy.shadow)):
        if version not in control.known.models and version != serving_version(settings):
            raise click.ClickException(
                f"nothing was done: model {version} is neither in topic {settings.control_topic} "
                f"nor the active one here; `fraudapp models publish {version}` gives it to all "
                "workers"
            )


async def propose(
    control: Control,
    waiting: Waiting,
    text: str,
    *,
    parent: Candidate | None,
    author: str,
    note: str,
) -> None:
    """Put a text in force in the place of a policy, and tell what came of it.

    Nothing is written if it is the same text. Raises `TooLate`, or `Unacknowledged`.
    """
    if parent and parent.proposed.text == text:
        click.echo(f"nothing to change: it is in force as {named(parent)}")
        await waiting.until(f"version {parent.number} is", covers_number(parent.number))
        return
    async with control.writer() as writer:
        waiting.begin()
        candidate = await writer.propose(
            text,
            author=author,
            parent=parent.id if parent else ROOT,
            note=note,
            needs_approval=control.settings.policy_approval,
        )
        await settle(control, waiting, candidate)


async def settle(control: Control, waiting: Waiting, candidate: Candidate) -> None:
    """Tell what became of a policy, and wait until all have it; see `propose`."""
    if candidate.fate == "waits for approval":
        click.echo(
            f"it waits until somebody else approves it: fraudapp policy approve {candidate.id}"
        )
        return
    if not candidate.number:
        raise TooLate(
            f"too late: {candidate.why}. In force is {named(control.head)}; look at it, and try "
            "again"
        )
    click.echo(f"version {candidate.number} is in force")
    if candidate is not control.head:
        click.echo(f"and was replaced since, by {named(control.head)}")
    await waiting.until(f"version {candidate.number} is", covers_number(candidate.number))


def parent_of(control: Control, number: int | None) -> Candidate | None:
    """Return the policy that is replaced; raises `TooLate` if it is not the one with `number`."""
    if number is not None and number != len(control.known.chain.members):
        raise TooLate(f"version {number} is not in force; in force is {named(control.head)}")
    return control.head


def rolled_back(control: Control, number: int | None) -> tuple[int, str]:
    """Return number and text of the policy to go back to, by default the one before this.

    After a rollback that is the one before the one that it went back to: a second rollback does not
    undo the first. Number 0 is a policy of the thresholds of the settings. Raises
    `click.ClickException`.
    """
    head = control.head
    if head is None:
        raise click.ClickException("there is nothing to go back to: no policy was ever in force")
    if number is None:
        members = control.known.chain.members
        number = next(n for n, each in enumerate(members) if _alike(each, head))
    return number, found(control, number).proposed.text if number else thresholds(control)


def _alike(one: Candidate, other: Candidate) -> bool:
    return one.proposed.text == other.proposed.text


def thresholds(control: Control) -> str:
    """Return a policy of the thresholds of the settings."""
    settings = control.settings
    return f"flag_at = {settings.flag_at!r}\nblock_at = {settings.block_at!r}\n"


def to_approve(control: Control, text: str, author: str) -> Candidate:
    """Return the policy that waits for approval under an id, its beginning, or a number.

    Raises `click.ClickException` if `author` cannot approve it.
    """
    candidate = _looked_up(control, text)
    if candidate.number:
        raise click.ClickException(f"policy {candidate.id} is approved: {named(candidate)}")
    if candidate.fate == "too late" or candidate not in waiting_for_approval(control):
        raise TooLate(
            f"too late: policy {candidate.id} was to take the place of another one than is in "
            f"force now. That is {named(control.head)}; apply it again"
        )
    if candidate.proposed.author == author:
        raise click.ClickException(
            f"{author} has proposed policy {candidate.id}, so that somebody else has to approve it"
        )
    return candidate


def _looked_up(control: Control, text: str) -> Candidate:
    waiting = waiting_for_approval(control)
    if text.isdecimal() and len(text) < MIN_ID_CHARACTERS:
        if 0 < int(text) <= len(waiting):
            return waiting[int(text) - 1]
        raise click.ClickException(f"{len(waiting)} policies wait for approval; {text} is none")
    ids = [id_ for id_ in control.known.chain.candidates if id_.startswith(text)]
    if len(ids) != 1 or len(text) < MIN_ID_CHARACTERS:
        raise click.ClickException(
            f"{text!r:.80} is the id of no policy: `fraudapp policy history` shows those that wait"
        )
    return control.known.chain.candidates[ids[0]]
