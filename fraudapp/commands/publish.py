"""`publish`: sends the transactions of a file to Kafka."""

from __future__ import annotations

from pathlib import Path

import click

from fraudapp.cli.parameters import Finite
from fraudapp.cli.sending import Kind, send_file
from fraudapp.cli.transaction_files import read_file
from fraudapp.settings import load
from models.files.lines import STDIN
from models.files.rows import stem
from models.records import Transaction


@click.command("publish")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--rate", type=Finite(min=0, min_open=True), help="Most events a second.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many transactions.")
@click.option(
    "--id-prefix", help="Ids are PREFIX-ROW where the file has none; default: the file's name."
)
@click.option("--skip-invalid", is_flag=True, help="Send the valid rows after an invalid one too.")
@click.option("--quiet", is_flag=True, help="No progress bar.")
def command(
    file: Path,
    rate: float | None,
    limit: int | None,
    id_prefix: str | None,
    skip_invalid: bool,
    quiet: bool,
) -> None:
    """Send the transactions of FILE to be decided.

    FILE is CSV with a header, JSON lines or Parquet, packed (gzip, bzip2, xz, zstd, zip) or not; -
    is the standard input. Rows without an id get one from the row's number, so that sending the
    same file twice changes nothing.

    Each row that is not sent is reported with its line and the reason; the exit code is then 1.
    """
    if file == STDIN and not id_prefix:
        raise click.UsageError("- has no name to make ids of: give an --id-prefix")
    settings = load()
    schema = settings.transaction_schema

    def record(transaction: Transaction) -> tuple[bytes, bytes]:
        return transaction.transaction_id.encode(), schema.encode(transaction)

    send_file(
        settings,
        Kind("transactions", settings.transactions_topic, record, "what was sent is recognised"),
        file,
        read_file(file, id_prefix or stem(file), schema),
        skip_invalid=skip_invalid,
        quiet=quiet,
        rate=rate,
        limit=limit,
    )
