"""Policy files and lists, as commands are given them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from models.characters import legible
from models.files.lines import UnreadableFile, lines, shown
from models.policies.definition import PolicyFile
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
        told = [legible(f"{what}: {each}") for each in str(exc).split("\n")]
        raise InvalidPolicy("\n".join(told)) from exc


def read_policy(file: Path, schema: Schema) -> PolicyFile:
    """Return what a policy file says; raises `InvalidPolicy`."""
    return checked(content_of(file), shown(file), schema)


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
