"""`dead-letters`: inputs that were rejected, and their replay."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, TypeVar, get_args

import click
import msgspec
from aiokafka.errors import KafkaError

from fraudapp.messages.dead_letter import DeadLetter
from fraudapp.messages.dead_letter_replay import parsers, replay
from fraudapp.messages.dead_letters import read_all, read_one, replay_new
from fraudapp.settings import Settings, load
from models.characters import legible
from models.errors import Rejected
from models.inputs import Cause

T = TypeVar("T")

SHOWN_BYTES = 60
"""Bytes of the raw input that a listing shows."""

NO_EARLIER_REPLAY = ", from the first dead letter on: the broker has no offset of an earlier replay"
"""Added to the result where the broker has no offsets of an earlier replay with this option."""


@click.group("dead-letters")
def command() -> None:
    """List, show and replay inputs that were rejected."""


@command.command("list")
@click.option(
    "--reason", type=click.Choice(get_args(Cause)), help="Only dead letters with this reason."
)
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_dead_letters(reason: str | None, limit: int, as_json: bool) -> None:
    """List dead letters: name (PARTITION:OFFSET), reason, source, size and beginning."""
    settings = load()

    async def show_all() -> int:
        count = 0
        async for letter in read_all(settings):
            if reason in (None, letter.reason):
                count += 1
                if count <= limit:
                    click.echo(_as_json(letter) if as_json else _as_line(letter))
        return count

    count = _run(settings, show_all())
    if not as_json:
        click.echo(f"{count} dead letters" + (f", {limit} shown" if count > limit else ""))


@command.command("show")
@click.argument("name")
def show(name: str) -> None:
    """Write the raw bytes of dead letter NAME (PARTITION:OFFSET) to standard output.

    On a terminal, control characters are escaped; a file or a pipe gets the exact bytes.
    """
    letter = _find(load(), name)
    raw = letter.raw or b""
    if sys.stdout.isatty():
        lines = raw.decode(errors="backslashreplace").split("\n")
        click.echo("\n".join(map(legible, lines)))
    else:
        click.get_binary_stream("stdout").write(raw)
    if letter.raw is None:
        click.echo(f"dead letter {name} is a message without a value", err=True)
    for header, text in letter.lost.items():
        click.echo(f"of what was sent, {header}: {legible(text)}", err=True)


@command.command("replay")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="All that came since the last --all.")
@click.option(
    "--reason",
    type=click.Choice(get_args(Cause)),
    help="All with this reason that came since the last replay of it.",
)
@click.option("--value", help="The repaired transaction or label, as JSON; for one dead letter.")
@click.option(
    "--value-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the repaired transaction or label; for one dead letter.",
)
def replay_dead_letters(
    names: tuple[str, ...],
    everything: bool,
    reason: str | None,
    value: str | None,
    value_file: Path | None,
) -> None:
    """Send dead letters NAMES (PARTITION:OFFSET) back to the topic they came from.

    Sent as they are, or repaired with --value or --value-file. A transaction that was decided
    meanwhile is not decided again, and of several labels of a source the last counts. Those that
    cannot be sent are reported, with exit code 1. By default a broker forgets the offset of the
    last --all, or of a --reason, after a week without one; the next call then sends all dead
    letters again.
    """
    if bool(names) + everything + (reason is not None) != 1:
        raise click.UsageError("name the dead letters (PARTITION:OFFSET), or use --reason or --all")
    settings = load()
    repaired = _repaired(names, value, value_file)
    if names:
        letters = [_find(settings, name) for name in names]
        if repaired is not None:
            _check(settings, letters[0], repaired)
        replayed = _run(settings, replay(settings, letters, repaired))
    else:
        replayed = _run(settings, replay_new(settings, reason))
    since = "" if replayed.remembered else NO_EARLIER_REPLAY
    click.echo(f"{replayed.sent} messages sent{since}")
    if replayed.refused:
        raise click.ClickException("\n".join(map(legible, replayed.refused)))


def _repaired(names: tuple[str, ...], value: str | None, value_file: Path | None) -> bytes | None:
    """Return the repaired value, or None to replay dead letters as they are."""
    if value is None and value_file is None:
        return None
    if value is not None and value_file is not None:
        raise click.UsageError("--value and --value-file are one or the other")
    if len(names) != 1:
        raise click.UsageError("a repaired value goes with the name of exactly one dead letter")
    return value_file.read_bytes() if value_file else (value or "").encode()


def _check(settings: Settings, letter: DeadLetter, repaired: bytes) -> None:
    """Refuse a repaired value that the topic of the dead letter would refuse again."""
    if (parse := parsers(settings).get(letter.topic)) is None:
        return  # it goes nowhere, which the replay tells
    try:
        parse(repaired)
    except Rejected as exc:
        raise click.ClickException(f"the repaired value is still invalid: {exc}") from exc


def _find(settings: Settings, name: str) -> DeadLetter:
    partition, _, offset = name.partition(":")
    if not (partition.isdecimal() and offset.isdecimal()):
        raise click.ClickException(f"{name!r} is no name of a dead letter: use PARTITION:OFFSET")
    letter = _run(settings, read_one(settings, int(partition), int(offset)))
    if letter is None:
        raise click.ClickException(
            f"there is no dead letter {name}; `dead-letters list` shows the names"
        )
    return letter


def _run(settings: Settings, action: Coroutine[Any, Any, T]) -> T:
    """Return the result of `action`, or say that the broker does not answer."""
    try:
        return asyncio.run(action)
    except (KafkaError, OSError) as exc:
        raise click.ClickException(
            f"the broker at FRAUD_BROKER_URL={settings.broker_url} does not answer: {exc!r}"
        ) from exc


def _as_line(letter: DeadLetter) -> str:
    raw = letter.raw or b""
    return legible(
        f"{letter.name:>10}  {letter.reason[:20]:10} {letter.topic[:249]} {letter.source[:30]}  "
        f"{len(raw):,} bytes  {letter.detail[:200]}  {raw[:SHOWN_BYTES]!r}"
    )


def _as_json(letter: DeadLetter) -> str:
    fields = msgspec.to_builtins(letter._asdict() | {"name": letter.name})  # bytes become base64
    # In ASCII: a terminal also obeys characters that JSON does not have to escape.
    return json.dumps(fields, separators=(",", ":"))
