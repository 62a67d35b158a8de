"""Policy files and lists, as commands are given them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import click

from fraudapp.model_registry import serving_version
from fraudapp.settings import Settings
from models.characters import legible
from models.files.lines import UnreadableFile, lines, shown
from models.policies.definition import Listing, PolicyFile, Rule
from models.policies.reading import PolicyError, read
from models.schema.schema import Schema

INVALID = 2
"""Exit code of a policy that cannot be in force."""


class InvalidPolicy(click.ClickException):
    """A policy file cannot be used; the message has a line for each thing that is wrong."""

    exit_code = INVALID


def content_of(file: Path) -> bytes:
    """Return what is in a policy file; raises `InvalidPolicy` if it cannot be read."""
    try:
        return file.read_bytes()
    except OSError as exc:
        raise InvalidPolicy(f"{shown(file)}: {exc.strerror}") from exc


def checked(content: bytes, what: str, schema: Schema) -> PolicyFile:
    """Return what a policy says; raises `InvalidPolicy`. `what` is where it is from."""
    try:
        return read(content, schema)
    except PolicyError as exc:
        told = (legible(f"{what}: {each}") for each in exc.told)
        raise InvalidPolicy("\n".join(told)) from exc


def read_policy(file: Path, schema: Schema) -> PolicyFile:
    """Return what a policy file says; raises `InvalidPolicy`."""
    return checked(content_of(file), shown(file), schema)


def has_expired(given: Rule | Listing, at: datetime) -> bool:
    """Return whether a rule or list has no effect any more."""
    return given.expires_at is not None and given.expires_at <= at


def warnings(policy: PolicyFile, settings: Settings, at: datetime) -> Iterator[str]:
    """Yield a sentence on each thing that a valid policy was hardly meant to be."""
    if not policy.rules and not policy.lists:
        yield "it has neither rules nor lists: only the thresholds decide"
    given: dict[str, Rule | Listing] = {f"rule {each.id}": each for each in policy.rules}
    given |= {f"list {name}": each for name, each in policy.lists.items()}
    for name, each in given.items():
        if each.expires_at is not None and has_expired(each, at):
            when = each.expires_at.isoformat()
            yield f"{name} expired at {when}, and has no effect: remove it, or set expires_at anew"
    active = serving_version(settings)
    for version in filter(None, (policy.model, *policy.shadow)):
        if active is not None and version != active:
            what = "it is for" if version == policy.model else "in shadow it has"
            yield (
                f"{what} model {version}, and {active} is the active one: it has to be in the "
                f"control topic first, `fraudapp models publish {version}`"
            )


def read_lists(given: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return lists by name, of `NAME=FILE` each: a file with an entry on each line.

    Raises `click.ClickException`.
    """
    found = {}
    for each in given:
        name, _, file = each.partition("=")
        if not name or not file:
            raise click.UsageError(f"--list {each}: write NAME=FILE")
        try:
            entries = (line.text.strip() for line in lines(Path(file)))
            found[name] = frozenset(entry for entry in entries if entry)
        except UnreadableFile as exc:
            raise click.ClickException(str(exc)) from exc
    return found
