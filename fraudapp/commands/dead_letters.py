"""`dead-letters`: rejected inputs, and the way back for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

import click
from aiokafka.errors import KafkaError
from msgspec import json

from fraudapp.dead_letters import DeadLetter, read_dead_letters, replay
from fraudapp.settings import Settings, load
from models.parsing import InvalidTransaction, parse

T = TypeVar("T")

SHOWN = 60
"""Characters of raw input shown in a listing."""


@click.group("dead-letters")
def command() -> None:
    """List, show and replay inputs that were rejected."""


@command.command("list")
@click.option("--reason", help="Only letters with this reason, e.g. invalid or conflict.")
@click.option("--limit", type=click.IntRange(min=1), default=100, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_letters(reason: str | None, limit: int, as_json: bool) -> None:
    """List letters: name (PARTITION:OFFSET), reason, source, size and beginning."""
    letters = _select(load(), lambda letter: reason in (None, letter.reason))
    for letter in letters[:limit]:
        click.echo(_as_json(letter) if as_json else _as_line(letter))
    if not as_json:
        more = f", {limit} shown" if len(letters) > limit else ""
        click.echo(f"{len(letters)} dead letters{more}")


@command.command("show")
@click.argument("name")
def show(name: str) -> None:
    """Write the raw bytes of letter NAME (PARTITION:OFFSET) to standard output."""
    click.get_binary_stream("stdout").write(_only(load(), name).raw or b"")


@command.command("replay")
@click.argument("names", nargs=-1)
@click.option("--all", "everything", is_flag=True, help="Every letter there is.")
@click.option("--reason", help="Every letter with this reason.")
@click.option("--value", help="The repaired transaction, as JSON; for one letter.")
@click.option(
    "--value-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the repaired transaction; for one letter.",
)
def replay_letters(
    names: tuple[str, ...],
    everything: bool,
    reason: str | None,
    value: str | None,
    value_file: Path | None,
) -> None:
    """Send letters NAMES (PARTITION:OFFSET) back to the topic they came from.

    Sent as they are, or repaired with --value or --value-file. A transaction that was decided
    meanwhile is not decided again.
    """
    if not names and not everything and reason is None:
        raise click.UsageError("name the letters (PARTITION:OFFSET), or use --reason or --all")
    settings = load()
    repaired = _repaired(names, value, value_file)
    if names:
        letters = [_only(settings, name) for name in names]
    else:
        letters = _select(settings, lambda letter: everything or letter.reason == reason)
    sent = _kafka(settings, replay(settings, letters, repaired))
    click.echo(f"{sent} messages sent")


def _repaired(names: tuple[str, ...], value: str | None, value_file: Path | None) -> bytes | None:
    if value is None and value_file is None:
        return None
    if len(names) != 1:
        raise click.UsageError("a repaired value goes with the name of exactly one letter")
    raw = value_file.read_bytes() if value_file else (value or "").encode()
    try:
        parse(raw)
    except InvalidTransaction as exc:
        raise click.ClickException(f"the repaired transaction is still invalid: {exc}") from exc
    return raw


def _only(settings: Settings, name: str) -> DeadLetter:
    found = _select(settings, lambda letter: letter.name == name)
    if not found:
        raise click.ClickException(
            f"there is no dead letter {name!r}; `dead-letters list` shows the names"
        )
    return found[0]


def _select(settings: Settings, wanted: Callable[[DeadLetter], bool]) -> list[DeadLetter]:
    async def read() -> list[DeadLetter]:
        return [letter async for letter in read_dead_letters(settings) if wanted(letter)]

    return _kafka(settings, read())


def _kafka(settings: Settings, action: Coroutine[Any, Any, T]) -> T:
    try:
        return asyncio.run(action)
    except (KafkaError, OSError) as exc:
        raise click.ClickException(
            f"the broker at FRAUD_BROKER_URL={settings.broker_url} does not answer: {exc!r}"
        ) from exc


def _as_line(letter: DeadLetter) -> str:
    raw = letter.raw or b""
    return (
        f"{letter.name:>10}  {letter.reason:10} {letter.source}  {len(raw):,} bytes  "
        f"{letter.detail[:200]}  {raw[:SHOWN]!r}"
    )


def _as_json(letter: DeadLetter) -> str:
    fields = letter._asdict() | {"name": letter.name}
    return json.encode(fields).decode()  # bytes become base64
