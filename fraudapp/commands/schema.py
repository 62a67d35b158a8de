"""`schema`: the schemas there are, and how to write one's own."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from models.characters import legible
from models.files.lines import UnreadableFile, shown
from models.files.rows import stem
from models.schema import presets
from models.schema.inference.checking import check
from models.schema.inference.inferring import MAX_MESSAGES, infer
from models.schema.inference.samples import SampleError, read_sample
from models.schema.opening import content_of
from models.schema.reading import SchemaError
from models.schema.schema import Schema, named, preset

MAX_FAULTS = 10
"""Invalid messages that are shown."""


@click.group("schema")
def command() -> None:
    """List, show, check and draft schemas: files that say which fields a transaction has."""


@command.command("list")
def list_schemas() -> None:
    """List the schemas that come with the program."""
    for name in presets.names():
        definition = preset(name).definition
        fields, features = len(definition.fields), len(definition.features)
        click.echo(f"{name:10} {fields:3} fields {features:3} features  {definition.description}")


@command.command("show")
@click.argument("name_or_file")
def show(name_or_file: str) -> None:
    """Print the file of a schema, such as a preset to begin one's own with."""
    _schema(name_or_file)
    if name_or_file in presets.names():
        content = presets.content(name_or_file)
    else:
        content = content_of(Path(name_or_file))
    if sys.stdout.isatty():
        lines = content.decode().expandtabs().splitlines()
        click.echo("\n".join(map(legible, lines)))
    else:
        click.get_binary_stream("stdout").write(content)


@command.command("check")
@click.argument("name_or_file")
@click.argument("sample", required=False, type=click.Path(path_type=Path))
def check_schema(name_or_file: str, sample: Path | None) -> None:
    """Check the schema FILE, and whether the messages of SAMPLE are valid by it.

    SAMPLE has JSON lines, one message a line, or is CSV with a header, or Parquet. Invalid messages
    are reported with line and field; the exit code is then 1.
    """
    schema = _schema(name_or_file)
    if sample is None:
        definition = schema.definition
        counts = f"{len(definition.fields)} fields, {len(definition.features)} features"
        click.echo(f"{schema.name} is a schema: {counts}; its contract is {schema.contract}")
        return
    valid = invalid = 0
    try:
        for fault in check(schema, sample):
            valid += fault is None
            invalid += fault is not None
            if fault is not None and invalid <= MAX_FAULTS:
                click.echo(legible(fault.sentence(sample)), err=True)
    except UnreadableFile as exc:
        raise click.ClickException(f"{exc}\nvalid={valid} invalid={invalid}") from exc
    click.echo(f"valid={valid} invalid={invalid}")
    if invalid > MAX_FAULTS:
        click.echo(f"the first {MAX_FAULTS} invalid messages are shown", err=True)
    if invalid:
        raise SystemExit(1)
    if not valid:
        raise click.ClickException(f"{shown(sample)} holds no messages")


@command.command("infer")
@click.argument("sample", type=click.Path(path_type=Path))
@click.option("--name", help="The name of the schema; default: that of the file.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=MAX_MESSAGES,
    show_default=True,
    help="Read so many messages.",
)
def infer_schema(sample: Path, name: str | None, limit: int) -> None:
    """Write a first draft of a schema for the messages of SAMPLE to standard output.

    SAMPLE has JSON lines, one message a line, or is CSV with a header, or Parquet. Comments in the
    draft say what to decide; `schema check` says whether it holds for other messages.
    """
    try:
        click.echo(infer(read_sample(sample, limit), name or stem(sample)), nl=False)
    except (SampleError, SchemaError) as exc:
        raise click.ClickException(legible(f"{shown(sample)}: {exc}")) from exc
    except UnreadableFile as exc:
        raise click.ClickException(str(exc)) from exc


def _schema(name_or_file: str) -> Schema:
    try:
        return named(name_or_file)
    except SchemaError as exc:
        raise click.ClickException(legible(str(exc))) from exc
