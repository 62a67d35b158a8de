"""`publish`: sends the transactions of a file to Kafka."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from time import monotonic

import click
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from tqdm import tqdm

from fraudapp.cli.parameters import Finite
from fraudapp.cli.transaction_files import InvalidRow, read_file
from fraudapp.kafka.clients import client_options
from fraudapp.settings import Settings, load
from models.files.lines import STDIN, shown
from models.files.rows import UnreadableFile, stem
from models.records import Transaction

BATCH = 500
"""Transactions sent before their acknowledgements are awaited, at most."""


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
    found = read_file(file, id_prefix or stem(file), settings.transaction_schema)
    rows = _ValidRows(found, skip_invalid)
    sent = 0

    def report(count: int) -> None:
        nonlocal sent
        sent += count
        progress.update(count)

    with tqdm(unit=" transactions", disable=quiet, total=limit) as progress:
        try:
            asyncio.run(_publish(settings, islice(rows, limit), rate, report))
            rows.count_the_rest()
        except UnreadableFile as exc:
            raise click.ClickException(f"{exc}\n{sent} transactions were sent") from exc
        except (KafkaError, OSError) as exc:
            raise click.ClickException(
                f"the broker at FRAUD_BROKER_URL={settings.broker_url} does not accept them: "
                f"{exc!r}; {sent} transactions were sent, sending them again is harmless"
            ) from exc
    if rows.invalid or rows.unsent:
        raise click.ClickException(rows.summary(sent))
    if not sent:
        raise click.ClickException(f"{shown(file)} holds no transactions")
    click.echo(f"{sent} transactions sent")


class _ValidRows:
    """The valid rows of a file; invalid ones are reported and counted.

    Without `skip_invalid`, the rows end before the first invalid one.
    """

    def __init__(self, rows: Iterator[Transaction | InvalidRow], skip_invalid: bool) -> None:
        self.invalid = self.unsent = 0
        self._rows = rows
        self._skip_invalid = skip_invalid

    def __iter__(self) -> Iterator[Transaction]:
        for row in self._rows:
            if isinstance(row, Transaction):
                yield row
                continue
            self._report(row)
            if not self._skip_invalid:
                return

    def count_the_rest(self) -> None:
        """Report and count the rows after an invalid one at which sending has ended."""
        if self.invalid and not self._skip_invalid:
            for row in self._rows:
                if isinstance(row, Transaction):
                    self.unsent += 1
                else:
                    self._report(row)

    def summary(self, sent: int) -> str:
        """Return how many rows were sent and how many were not."""
        text = f"{sent} transactions were sent; {self.invalid} rows are invalid and were not"
        if self.unsent:
            text += f", nor were {self.unsent} valid ones after the first of them"
        text += "; correct them and send the file again (what was sent is recognised)"
        return text if self._skip_invalid else f"{text}, or use --skip-invalid"

    def _report(self, row: InvalidRow) -> None:
        self.invalid += 1
        tqdm.write(f"not sent: {row}", file=sys.stderr)


async def _publish(
    settings: Settings,
    transactions: Iterator[Transaction],
    rate: float | None,
    report: Callable[[int], None],
) -> None:
    batch_size = min(BATCH, max(1, int(rate / 10))) if rate else BATCH
    # Read before the broker is asked, so that an unreadable file is reported first.
    batch = list(islice(transactions, batch_size))
    producer = AIOKafkaProducer(
        **client_options(settings),
        max_request_size=settings.max_message_bytes,
        linger_ms=5,
    )
    try:
        await producer.start()
        started, count = monotonic(), 0
        while batch:
            sent = [
                await producer.send(
                    settings.transactions_topic,
                    settings.transaction_schema.encode(transaction),
                    key=transaction.transaction_id.encode(),
                )
                for transaction in batch
            ]
            await asyncio.gather(*sent)
            count += len(batch)
            report(len(batch))
            if rate:
                seconds_ahead = count / rate - (monotonic() - started)
                await asyncio.sleep(max(0.0, seconds_ahead))
            batch = list(islice(transactions, batch_size))
    finally:
        await producer.stop()
