"""`publish`: transactions from a file to Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from pathlib import Path
from time import monotonic

import click
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from msgspec import json
from tqdm import tqdm

from fraudapp.files import InvalidRow, read_file
from fraudapp.kafka_clients import client_options
from fraudapp.settings import Settings, load
from models.records import Transaction

BATCH = 500


@click.command("publish")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), help="Most events a second.")
@click.option("--limit", type=click.IntRange(min=1), help="Stop after so many transactions.")
@click.option(
    "--id-prefix", help="Ids are PREFIX-ROW where the file has none; default: the file's name."
)
@click.option("--skip-invalid", is_flag=True, help="Report invalid rows and go on.")
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

    FILE is CSV with PaySim's columns (.csv), or JSON lines. Rows without transaction_id get one
    from the row's number, so that sending the same file twice changes nothing.
    """
    rows = read_file(file, id_prefix or file.stem)
    transactions = _skipping(rows) if skip_invalid else _stopping(rows)
    sent = 0

    def report(count: int) -> None:
        nonlocal sent
        sent += count
        progress.update(count)

    with tqdm(unit=" transactions", disable=quiet, total=limit) as progress:
        try:
            asyncio.run(_publish(load(), islice(transactions, limit), rate, report))
        except InvalidRow as exc:
            raise click.ClickException(
                f"{exc}\n{sent} transactions were sent; correct the row and send the file "
                "again (what was sent is recognised), or use --skip-invalid"
            ) from exc
        except (KafkaError, OSError) as exc:
            raise click.ClickException(
                f"the broker at FRAUD_BROKER_URL={load().broker_url} does not take it: {exc!r}; "
                f"{sent} transactions were sent, sending them again is harmless"
            ) from exc
    click.echo(f"{sent} transactions sent")


async def _publish(
    settings: Settings,
    transactions: Iterator[Transaction],
    rate: float | None,
    report: Callable[[int], None],
) -> None:
    batch_size = min(BATCH, max(1, int(rate / 10))) if rate else BATCH
    async with AIOKafkaProducer(
        **client_options(settings),
        max_request_size=settings.max_message_bytes,
        linger_ms=5,
    ) as producer:
        started, count = monotonic(), 0
        while batch := list(islice(transactions, batch_size)):
            sent = [
                await producer.send(
                    settings.transactions_topic,
                    json.encode(transaction),
                    key=transaction.transaction_id.encode(),
                )
                for transaction in batch
            ]
            await asyncio.gather(*sent)
            count += len(batch)
            report(len(batch))
            if rate:
                ahead = count / rate - (monotonic() - started)
                await asyncio.sleep(max(0.0, ahead))


def _stopping(rows: Iterable[Transaction | InvalidRow]) -> Iterator[Transaction]:
    for row in rows:
        if isinstance(row, InvalidRow):
            raise row
        yield row


def _skipping(rows: Iterable[Transaction | InvalidRow]) -> Iterator[Transaction]:
    for row in rows:
        if isinstance(row, InvalidRow):
            tqdm.write(f"skipped: {row}")
        else:
            yield row
