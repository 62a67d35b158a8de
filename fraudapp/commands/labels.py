"""`labels`: what became of transactions, told and shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import click
import msgspec

from fraudapp.cli.control import run
from fraudapp.cli.control_options import Said
from fraudapp.cli.label_files import read_labels
from fraudapp.cli.label_log import labels_of
from fraudapp.cli.policy_shown import table
from fraudapp.cli.sending import Kind, send_file
from fraudapp.settings import load
from models.characters import legible
from models.labels.records import Label, Source, conflicting, effective, encode
from models.labels.state import Labels
from models.records import MAX_TEXT_CHARACTERS


@click.group("labels")
def command() -> None:
    """Tell and show what became of transactions: whether they were fraud, and who says so."""


@command.command("publish")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--source",
    type=click.Choice([each.value for each in Source]),
    help="Who says so, of labels that do not say it.",
)
@click.option(
    "--by", type=Said(MAX_TEXT_CHARACTERS), help="Who tells it, of labels that do not say it."
)
@click.option("--skip-invalid", is_flag=True, help="Send the valid rows after an invalid one too.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def publish(
    file: Path, source: str | None, by: str | None, skip_invalid: bool, quiet: bool
) -> None:
    """Send the labels of FILE.

    FILE has the fields transaction_id, label (1 is fraud, 0 is none), source, at and by, in the
    same forms as that of `fraudapp publish`; - is the standard input. Where a row does not say
    when the source has learned it (at), it is now.

    Of one source the label that is sent last counts, whatever its at: an older FILE that is sent
    again puts older labels in force, until the newest are sent after it. Only the very same label
    sent again right away changes nothing.

    Each row that is not sent is reported with its line and the reason; the exit code is then 1.
    """
    settings = load()

    def record(label: Label) -> tuple[bytes, bytes]:
        return label.transaction_id.encode(), encode(label)

    now = datetime.now(timezone.utc)
    send_file(
        settings,
        Kind("labels", settings.labels_topic, record, "of a source the label sent last counts"),
        file,
        read_labels(file, now, of=Source(source) if source else None, by=by),
        skip_invalid=skip_invalid,
        quiet=quiet,
    )


@command.command("show")
@click.argument("transaction_id")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def show(transaction_id: str, as_json: bool) -> None:
    """Show what all sources have said of TRANSACTION_ID, and which of them counts.

    Read from the topic of labels, so no worker has to run, and the transaction need not be decided
    yet. Exit code 1 if nothing was said.
    """
    settings = load()
    found = run(settings, labels_of(settings, transaction_id))
    if not found:
        raise click.ClickException(f"no label of {legible(transaction_id)} was told")
    if as_json:
        click.echo(json.dumps(_fields(transaction_id, found)))
        return
    for line in _lines(transaction_id, found):
        click.echo(line)


def _fields(transaction_id: str, found: Labels) -> dict[str, Any]:
    source = effective(found)
    return {
        "transaction_id": transaction_id,
        "label": found[source].label,
        "source": source.value,
        "conflicting": conflicting(found),
        "labels": {
            each.value: msgspec.to_builtins(found[each]) for each in Source if each in found
        },
    }


def _lines(transaction_id: str, found: Labels) -> Iterator[str]:
    source = effective(found)
    but = "; the sources disagree" if conflicting(found) else ""
    yield f"{legible(transaction_id)}: {_word(found[source].label)}, by {source.value}{but}"
    rows = [("source", "label", "at", "by")]
    for each in Source:
        if said := found.get(each):
            at = said.at.isoformat(timespec="seconds")
            rows.append((each.value, _word(said.label), at, legible(said.by)))
    yield from table(rows)


def _word(label: int) -> str:
    return "fraud" if label else "no fraud"
